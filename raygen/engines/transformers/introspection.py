"""What a model's gradients and embeddings say of tokens and words.

Integrated gradients (Sundararajan et al. 2017) attribute a target's log-probability to tokens. The
nearest words are those with the largest cosine between input embeddings, among whole words: tokens
that begin a word and are made of letters alone (the vocabulary doesn't say whether a word could go
on). Knows nothing of requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, partial
from typing import Any

import torch
from captum.attr import IntegratedGradients


def integrated_gradients(
    model: Any,
    tokens: Sequence[int],
    target: int,
    positions: Sequence[int],
    steps: int,
    batch: int,
) -> list[float]:
    """Attribute the tokens from `target` on to the tokens at `positions`.

    Integrates the gradient of the target's summed log-probability from the baseline, in which the
    embeddings at `positions` are zero and the others keep theirs, by a Gauss-Legendre sum of
    `steps` points, `batch` at a time. `tokens` are the ids of one text, `target` and `positions`
    indices into them. Returns a score for each position; the scores add up to the change of the
    log-probability.
    """
    ids = torch.tensor(tokens, device=model.device)
    index = torch.tensor(positions, device=model.device)
    embedded = model.get_input_embeddings()(ids).detach()[None]
    baseline = embedded.index_fill(1, index, 0)
    scores = IntegratedGradients(partial(_log_probabilities, model, ids[target:])).attribute(
        embedded, baseline, n_steps=steps, internal_batch_size=batch, method="gausslegendre"
    )
    attributions: list[float] = scores[0, index].float().sum(dim=-1).tolist()
    return attributions


def _log_probabilities(model: Any, following: torch.Tensor, inputs: torch.Tensor) -> torch.Tensor:
    """Sum the log-probabilities (rows,) of the last tokens of each row of embedded inputs."""
    output = model(inputs_embeds=inputs, use_cache=False, logits_to_keep=len(following) + 1)
    logprobs = torch.log_softmax(output.logits[:, -len(following) - 1 : -1].float(), dim=-1)
    chosen: torch.Tensor = logprobs.gather(-1, following.expand(len(inputs), -1)[..., None])
    return chosen.sum(dim=(1, 2))


_STARTS = ("Ġ", "▁")
"""How tokenizers mark a token that begins a word: byte-level ones, and SentencePiece's."""


class WordEmbeddings:
    """The whole words of a tokenizer and the embeddings of its model."""

    def __init__(self, model: Any, tokenizer: Any) -> None:
        self._weights: torch.Tensor = model.get_input_embeddings().weight
        self._tokenizer = tokenizer

    def nearest(self, word: str, k: int) -> list[str]:
        """Return the k nearest words, nearest first, without the word itself.

        Spellings that differ in case count once. A word of several tokens is placed at the mean of
        their embeddings.
        """
        with torch.inference_mode():
            embedding = self._embedding(word)
            along = (self._weights @ embedding.to(self._weights.dtype)).float()
            scores = along[self._ids] / self._norms
            order: list[int] = scores.argsort(descending=True, stable=True).tolist()
        words: dict[str, str] = {}
        for index in order:
            near = self._words[index]
            if near.casefold() != word.casefold():
                words.setdefault(near.casefold(), near)
            if len(words) == k:
                break
        return list(words.values())

    def _embedding(self, word: str) -> torch.Tensor:
        """Return the embedding of a word."""
        spellings = (word, word.lower(), word.capitalize())
        known = next((spelling for spelling in spellings if spelling in self._vocabulary), None)
        if known is not None:
            return self._weights[self._vocabulary[known]].float()
        ids: list[int] = self._tokenizer.encode(word, add_special_tokens=False)
        return self._weights[torch.tensor(ids, device=self._weights.device)].float().mean(dim=0)

    @cached_property
    def _vocabulary(self) -> dict[str, int]:
        """The whole words and their token ids, in the order of the ids."""
        pieces = sorted(self._tokenizer.get_vocab().items(), key=lambda piece: int(piece[1]))
        begins = [(piece, token) for piece, token in pieces if piece.startswith(_STARTS)]
        words: dict[str, int] = {}
        for piece, token in begins:
            word = self._tokenizer.convert_tokens_to_string([piece]).strip()
            if word.isalpha() and token < len(self._weights):
                words.setdefault(word, token)
        return words

    @cached_property
    def _words(self) -> list[str]:
        return list(self._vocabulary)

    @cached_property
    def _ids(self) -> torch.Tensor:
        return torch.tensor(
            list(self._vocabulary.values()), dtype=torch.long, device=self._weights.device
        )

    @cached_property
    def _norms(self) -> torch.Tensor:
        return self._weights.norm(dim=-1).float()[self._ids].clamp(min=1e-12)
