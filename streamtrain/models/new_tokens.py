"""Tokens added to a student's vocabulary, and the weights that learn them.

Knows nothing of what they are for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from raygen.engines.transformers import add_embedding_rows
from streamtrain.errors import InputError


def add_tokens(model: Any, tokenizer: Any, tokens: Sequence[str]) -> list[int]:
    """Add tokens that the tokenizer lacks, with rows for them in the model; returns the new ids."""
    new = [token for token in dict.fromkeys(tokens) if token not in tokenizer.get_vocab()]
    if not new:
        return []
    from transformers import AddedToken

    # Not special ones: those are left out when an answer is decoded, and labels are read from it.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in new])
    ids: list[int] = tokenizer.convert_tokens_to_ids(new)
    add_embedding_rows(model, ids)
    return ids


def trained_rows(model: Any, tokens: Sequence[int]) -> list[int] | dict[str, list[int]]:
    """Choose the embedding rows that are trained for new tokens: of the input embedding, and of an
    untied head.

    A head's row left at the mean of all others could never be the most probable, and a student that
    has to write the token never would. A head with a bias, as Phi's, stays as it is: peft would
    drop the bias.
    """
    head = model.get_output_embeddings()
    untied = head is not None and head.weight is not model.get_input_embeddings().weight
    if not untied or getattr(head, "bias", None) is not None:
        return list(tokens)
    owners = (model.get_input_embeddings(), head)
    names = [next(n for n, module in model.named_modules() if module is owner) for owner in owners]
    return {name: list(tokens) for name in names}


def check_writable(model: Any, tokenizer: Any, texts: Iterable[str]) -> None:
    """Raise InputError if an adapter can't learn to write a new token that occurs in these
    texts."""
    rows = model.peft_config["default"].trainable_token_indices
    if isinstance(rows, dict) or getattr(model.get_output_embeddings(), "bias", None) is None:
        return
    ids = {token for text in texts for token in tokenizer(text)["input_ids"]}
    if unwritable := ids & set(rows or ()):
        names = ", ".join(tokenizer.convert_ids_to_tokens(sorted(unwritable)))
        raise InputError(
            f"data.tokens: an adapter of a {model.config.model_type} model can't learn to write "
            f"{names}, since the model's head has a bias; use tune: {{method: full}}, or leave "
            f"{names} out of data.tokens, so that it is written as several tokens"
        )
