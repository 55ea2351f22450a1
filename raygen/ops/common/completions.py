"""What one sampled completion says: the answer it reaches, and the rationale that led there.

Knows nothing of the other samples, nor of what is done with this one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygen.core import Reject, Task
from raygen.core.answers import answer_key, read_answer, read_free_answer
from raygen.engines import Completion
from raygen.ops.common.reject_reasons import completion_reject

_ANNOUNCED = 0.7
_ANNOUNCED_FREE = 0.95
"""From these confidences on a text states its answer, and doesn't just happen to name one."""


@dataclass(frozen=True, slots=True)
class ParsedCompletion:
    """A text apart: its answer (an option's index, a free answer, or None) and the rest."""

    answer: int | str | None
    confidence: float
    announced: bool
    rationale: str


@dataclass(frozen=True, slots=True)
class ReasoningSample:
    """A sample that can be used, with its answer, or the one that it was asked to explain."""

    rationale: str
    answer: int | str | None
    confidence: float | None
    completion: Completion

    @property
    def per_token(self) -> float | None:
        """The mean log-probability of its tokens, where the engine gives it."""
        tokens, logprob = self.completion.output_tokens, self.completion.logprob
        return None if logprob is None or not tokens else logprob / tokens


def parse_completion(
    completion: Completion, data: Mapping[str, Any], task: Task
) -> ParsedCompletion | Reject:
    """Return the completion apart; `empty`, `refused`, or `truncated` before it stated an
    answer."""
    fault = completion_reject(completion, cut_off_counts=False)
    if fault is not None:
        return fault
    parsed = _apart(completion.text.strip(), data, task)
    if completion.finish_reason == "length" and not parsed.announced:
        detail = f"cut off after {completion.output_tokens} tokens: {completion.text[-80:]!r}"
        return Reject("truncated", detail)
    return parsed


def extract_thoughts(completion: Completion, data: Mapping[str, Any], task: Task) -> str:
    """Return a reasoning model's thoughts, without an announcement of the answer at their end."""
    thoughts = (completion.thinking or "").strip()
    parsed = _apart(thoughts, data, task)
    return parsed.rationale if parsed.announced and parsed.rationale else thoughts


def gold_answer(data: Mapping[str, Any], task: Task) -> int | str:
    """Return the row's gold answer: an option's index, in free text the column `answer`."""
    return str(data["answer"]) if task.name == "free_text" else task.gold(data)


def answer_words(answer: int | str | None, data: Mapping[str, Any], task: Task) -> str:
    """Return an answer in words."""
    return task.options(data)[answer] if isinstance(answer, int) else answer or ""


def comparison_key(answer: int | str | None) -> int | str | None:
    """Equal for answers that are the same."""
    return answer_key(answer) if isinstance(answer, str) else answer


def _apart(text: str, data: Mapping[str, Any], task: Task) -> ParsedCompletion:
    if task.name == "free_text":
        free = read_free_answer(text)
        sure = free.confidence >= _ANNOUNCED_FREE
        return ParsedCompletion(free.text, free.confidence, sure, free.rationale)
    read = read_answer(text, task.options(data))
    return ParsedCompletion(
        read.option, read.confidence, read.confidence >= _ANNOUNCED, read.rationale
    )
