"""Prefilling: prompts read once into a key-value cache, and texts that go on from them.

`PrefilledBatch` is for causal models, whose prompts are padded at their left; `DecoderBatch` for
models with an encoder. Both have `next`, `select` and `extend`. Knows nothing of sampling or
requests.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any, Self

import torch


class PrefilledBatch:
    """The key-value cache of texts that a causal model has read, and the logits of the next token.

    `select` may repeat rows, so that many texts continue one prompt that is read once.
    """

    def __init__(self, model: Any) -> None:
        from transformers import DynamicCache

        self._model = model
        self._cache = DynamicCache(config=model.config)
        self._positioned = "position_ids" in inspect.signature(model.forward).parameters
        self._mask = torch.zeros((0, 0), dtype=torch.long, device=model.device)
        self.next: torch.Tensor = torch.zeros(0)

    @classmethod
    def of(cls, model: Any, prompts: Sequence[Sequence[int]]) -> Self:
        """Read prompts of at least one token each."""
        reading = cls(model)
        ids, mask = pad_tokens(prompts, model.device, left=True)
        reading._mask = mask[:, :0]
        reading._read(ids, mask, keep=1)
        return reading

    def extend(self, tails: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read a tail for each row; returns the next logits (rows, longest tail, vocabulary).

        Rows with a shorter tail can't be extended again.
        """
        ids, mask = pad_tokens(tails, self._model.device, left=False)
        return self._read(ids, mask, keep=ids.shape[1])

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be repeated."""
        chosen = torch.tensor(rows, device=self._mask.device)
        self._cache.reorder_cache(chosen)
        self._mask = self._mask[chosen]
        self.next = self.next[chosen]

    def _read(self, ids: torch.Tensor, mask: torch.Tensor, keep: int) -> torch.Tensor:
        self._mask = torch.cat([self._mask, mask], dim=1)
        positions = (self._mask.cumsum(dim=1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        output = self._model(
            input_ids=ids,
            attention_mask=self._mask,
            past_key_values=self._cache,
            use_cache=True,
            logits_to_keep=keep,
            **({"position_ids": positions} if self._positioned else {}),
        )
        logits: torch.Tensor = output.logits.float()
        self.next = logits[:, -1]
        return logits


def pad_tokens(
    rows: Sequence[Sequence[int]], device: torch.device, *, left: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad rows of token ids to a tensor (rows, longest), and return it with its mask."""
    longest = max(len(row) for row in rows)
    fills = [[0] * (longest - len(row)) for row in rows]
    ones = [[1] * len(row) for row in rows]
    if left:
        ids = [[*fill, *row] for fill, row in zip(fills, rows, strict=True)]
        mask = [[*fill, *row_mask] for fill, row_mask in zip(fills, ones, strict=True)]
    else:
        ids = [[*row, *fill] for fill, row in zip(fills, rows, strict=True)]
        mask = [[*row_mask, *fill] for fill, row_mask in zip(fills, ones, strict=True)]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class DecoderBatch:
    """Answers that a decoder has read so far, each with the encoder's output for its prompt.

    `select` and `extend` are those of PrefilledBatch; all rows have the same length.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        """Encode prompts of at least one token each, and start the decoder."""
        from transformers import DynamicCache, EncoderDecoderCache

        config = model.config
        self._model = model
        self._cache = EncoderDecoderCache(DynamicCache(config=config), DynamicCache(config=config))
        ids, self._mask = pad_tokens(prompts, model.device, left=False)
        read = model.get_encoder()(input_ids=ids, attention_mask=self._mask)
        self._read: torch.Tensor = read.last_hidden_state
        self.next: torch.Tensor = torch.zeros(0)
        self.extend([[config.decoder_start_token_id]] * len(prompts))

    def extend(self, tails: Sequence[Sequence[int]]) -> None:
        """Read a tail for each row, all of the same length."""
        output = self._model(
            encoder_outputs=(self._read,),
            attention_mask=self._mask,
            decoder_input_ids=torch.tensor(tails, device=self._model.device),
            past_key_values=self._cache,
            use_cache=True,
        )
        self.next = output.logits[:, -1].float()

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be repeated."""
        chosen = torch.tensor(rows, device=self._mask.device)
        self._cache.reorder_cache(chosen)
        self._read, self._mask = self._read[chosen], self._mask[chosen]
        self.next = self.next[chosen]
