"""Decoding: what an encoder made of several texts, read once, and what its decoder has of each.

Knows nothing of sampling or requests.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch

from raygen.engines.transformers.prefill import pad_tokens


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
