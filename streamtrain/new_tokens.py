"""Tokens that a student gets beside those of its tokenizer, and which weights learn them.

Knows nothing of what they are for.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from raygen.engines.new_tokens import make_room


def add_tokens(model: Any, tokenizer: Any, tokens: Sequence[str]) -> list[int]:
    """The ids of the tokens that are new, with room for them in the model."""
    new = [token for token in dict.fromkeys(tokens) if token not in tokenizer.get_vocab()]
    if not new:
        return []
    from transformers import AddedToken

    # Not special ones: those are left out when an answer is decoded, and labels are read from it.
    tokenizer.add_tokens([AddedToken(token, normalized=False) for token in new])
    ids: list[int] = tokenizer.convert_tokens_to_ids(new)
    make_room(model, ids)
    return ids


def trained_rows(model: Any, tokens: Sequence[int]) -> list[int] | dict[str, list[int]]:
    """Which rows of the embeddings are trained for new tokens.

    A head of its own has rows too. Left at the mean of all others, such a row could never be the
    likeliest, and a student that has to write the token never would. A head with a bias, as Phi's,
    stays as it is: peft would drop the bias.
    """
    head = model.get_output_embeddings()
    own = head is not None and head.weight is not model.get_input_embeddings().weight
    if not own or getattr(head, "bias", None) is not None:
        return list(tokens)
    owners = (model.get_input_embeddings(), head)
    names = [next(n for n, module in model.named_modules() if module is one) for one in owners]
    return {name: list(tokens) for name in names}
