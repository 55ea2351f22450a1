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
    """Rows of text that a model has read so far: its cache, and the logits of what follows each.

    `select` may repeat rows, so that many texts go on from one prompt that is read once.
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
        """Read the prompts, of at least one token each."""
        reading = cls(model)
        ids, mask = pad_tokens(prompts, model.device, left=True)
        reading._mask = mask[:, :0]
        reading._read(ids, mask, keep=1)
        return reading

    def extend(self, tails: Sequence[Sequence[int]]) -> torch.Tensor:
        """Read on, one tail a row; the logits (rows, longest tail, vocabulary) after each token.

        Rows with a shorter tail are of no use afterwards.
        """
        ids, mask = pad_tokens(tails, self._model.device, left=False)
        return self._read(ids, mask, keep=ids.shape[1])

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be there several times."""
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
    """Rows of tokens as one tensor, and a mask of ones where tokens stand."""
    longest = max(len(row) for row in rows)
    fills = [[0] * (longest - len(row)) for row in rows]
    ones = [[1] * len(row) for row in rows]
    if left:
        ids = [[*fill, *row] for fill, row in zip(fills, rows, strict=True)]
        mask = [[*fill, *one] for fill, one in zip(fills, ones, strict=True)]
    else:
        ids = [[*row, *fill] for fill, row in zip(fills, rows, strict=True)]
        mask = [[*one, *fill] for fill, one in zip(fills, ones, strict=True)]
    return torch.tensor(ids, device=device), torch.tensor(mask, device=device)


class DecoderBatch:
    """Rows of answers that a decoder has read so far, each beside the prompt that it answers.

    `select` and `extend` are those of a causal model's Reading; all rows are of one length.
    """

    def __init__(self, model: Any, prompts: Sequence[Sequence[int]]) -> None:
        """Read the prompts, of at least one token each, and let the decoder begin."""
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
        """Let the decoder read on, one tail a row, all of one length."""
        output = self._model(
            encoder_outputs=(self._read,),
            attention_mask=self._mask,
            decoder_input_ids=torch.tensor(tails, device=self._model.device),
            past_key_values=self._cache,
            use_cache=True,
        )
        self.next = output.logits[:, -1].float()

    def select(self, rows: Sequence[int]) -> None:
        """Keep these rows, in this order; a row may be there several times."""
        chosen = torch.tensor(rows, device=self._mask.device)
        self._cache.reorder_cache(chosen)
        self._read, self._mask = self._read[chosen], self._mask[chosen]
        self.next = self.next[chosen]
