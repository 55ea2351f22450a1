"""The tokens and the cost of a reply: as the provider reports them, else counted here.

Knows nothing of connections or of how a reply is read.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raygen.engines.base import Completion, CountedBy, Prompt
from raygen.engines.models import Tokenizer, TokenizerError, local_tokenizer

log = logging.getLogger(__name__)

_BYTES_PER_TOKEN = 4
_TOKENS_PER_TURN = 4
"""What a chat template adds to a turn, roughly."""


def cached_tokens(usage: Mapping[str, Any]) -> int | None:
    """Return how many prompt tokens came from the provider's cache; None where it says nothing."""
    details = usage.get("prompt_tokens_details")
    named = details.get("cached_tokens") if isinstance(details, Mapping) else None
    found = usage.get("prompt_cache_hit_tokens") if named is None else named
    return found if isinstance(found, int) and found >= 0 else None


def reported_cost(usage: Mapping[str, Any]) -> float | None:
    """Return what the provider charged, in dollars; None where it says nothing."""
    cost = usage.get("cost")
    if isinstance(cost, Mapping):
        cost = cost.get("total_cost")
    if not isinstance(cost, int | float) or isinstance(cost, bool):
        return None
    return float(cost) if 0 <= cost < math.inf else None


class UsageCounter:
    """Counts the tokens of replies without usage: by the model's tokenizer where it is here, else
    by the texts' lengths. `note` says so once it has happened; empty before."""

    def __init__(self, model: str, revision: str | None) -> None:
        self._model = model
        self._revision = revision
        self._tokenizer: Tokenizer | None = None
        self.note = ""

    def counted(self, prompt: Prompt, answers: Sequence[Completion]) -> list[Completion]:
        """Return the answers with tokens that the provider didn't count."""
        if any(answer.prompt_tokens or answer.output_tokens for answer in answers):
            return list(answers)
        if not self.note:
            self._tokenizer = local_tokenizer(self._model, self._revision)
            how = "by the model's tokenizer" if self._tokenizer else "a token for 4 bytes of text"
            self.note = f"reports no usage: tokens are counted here, {how}"
        texts = [prompt] if isinstance(prompt, str) else [turn.content for turn in prompt]
        extra = 0 if isinstance(prompt, str) else _TOKENS_PER_TURN * len(texts)
        read, by = self._count(" ".join(texts))
        counted = []
        for answer in answers:
            thought, _ = self._count(answer.thinking or "")
            text, _ = self._count(answer.text)
            counted.append(
                replace(
                    answer,
                    prompt_tokens=read + extra,
                    output_tokens=thought + text,
                    thinking_tokens=thought,
                    counted_by=by,
                )
            )
        return counted

    def _count(self, text: str) -> tuple[int, CountedBy]:
        if self._tokenizer is not None:
            try:
                return len(self._tokenizer.encode(text)), "tokenizer"
            except TokenizerError as error:
                log.warning("%s", error)
        return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN), "estimate"
