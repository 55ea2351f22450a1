"""Reading a completion: whether it is usable, and the JSON, answer or rationale in it.

Knows nothing of engines, of the other completions, or of what is done with this one.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygen.core import Reject, Task
from raygen.core.answers import read_answer, read_free_answer, read_gold
from raygen.engines import Completion

_REFUSAL = re.compile(
    r"\A\W*(?:i['’]?m sorry,? (?:but )?|i apologi[sz]e,? (?:but )?|unfortunately,? "
    r"|as an ai\b[^.]*,? )?i (?:can(?:no|['’])t|am (?:not able|unable)|won['’]t|must decline)\b"
    r"[^.\n]{0,60}\b(?:assist|help|provide|answer|comply|fulfil|generate|write|create|do that)",
    re.IGNORECASE,
)
_REFUSED = frozenset({"refusal", "content_filter"})
_CUT_OFF = frozenset(
    {"length", "repetition", "error", "abort", "cancelled", "timeout", "content_filter"}
)
"""Finish reasons of answers that end before they are finished."""


def was_cut_off(answer: Completion) -> bool:
    """Tell whether an answer was cut or broken off, maybe within a word."""
    return answer.finish_reason in _CUT_OFF


def completion_reject(answer: Completion, *, cut_off_counts: bool = True) -> Reject | None:
    """Return the reject of an unusable answer, None for one that can be read.

    Its reason is `empty` (also for thoughts without an answer), `truncated` (it was cut or broken
    off; unless `cut_off_counts` is False) or `refused` (by finish reason or by the first sentence).
    """
    text = answer.text.strip()
    if answer.finish_reason in _REFUSED or _REFUSAL.match(text):
        return Reject("refused", text[:80] or answer.finish_reason)
    if was_cut_off(answer) and (cut_off_counts or not text):
        return _truncated(answer)
    if not text:
        return Reject("empty", "nothing but thoughts" if answer.thinking else "the answer is empty")
    return None


def _truncated(answer: Completion) -> Reject:
    why = "" if answer.finish_reason == "length" else f" ({answer.finish_reason})"
    text = answer.text.strip()[-80:]
    return Reject("truncated", f"cut off after {answer.output_tokens} tokens{why}: {text!r}")


_FENCED = re.compile(r"```(?:json)?\s*\n(.*?)\n\s*```", re.DOTALL | re.IGNORECASE)


class InvalidJsonError(ValueError):
    """An answer that is no JSON, or not of the schema; str() says where and quotes it."""

    @property
    def reject(self) -> Reject:
        """The row's reject."""
        return Reject("invalid_json", str(self))


def parse_json_answer(text: str, schema: Mapping[str, Any]) -> Any:
    """Parse an answer's JSON value, which is all of its text or its one fenced block.

    The schema is checked even if an engine enforces it. Raises InvalidJsonError.
    """
    from raygen.checks import find_mismatch

    text = text.strip()
    fenced = _FENCED.findall(text)
    try:
        value = json.loads(fenced[0] if len(fenced) == 1 else text)
        problem = find_mismatch(value, schema)
    except (ValueError, RecursionError) as error:  # no JSON, or a number of 5,000 digits
        raise InvalidJsonError(f"{error}: {text[:80]!r}") from error
    if problem is not None:
        raise InvalidJsonError(f"{problem[:200]}: {text[:80]!r}")
    return value


_ANNOUNCED = 0.7
_ANNOUNCED_FREE = 0.95
"""From these confidences on a text states its answer, and doesn't just happen to name one."""


@dataclass(frozen=True, slots=True)
class ParsedCompletion:
    """A completion in two: its answer (an option's index, a free answer, or None) and rationale."""

    answer: int | str | None
    confidence: float
    announced: bool
    rationale: str


@dataclass(frozen=True, slots=True)
class ReasoningSample:
    """A usable sample, with the answer that it reaches or that it was asked to explain."""

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
    completion: Completion, data: Mapping[str, Any], task: Task, *, cut_off_counts: bool = True
) -> ParsedCompletion | Reject:
    """Split a completion into answer and rationale.

    Returns a reject if it is `empty`, `refused`, or (unless `cut_off_counts` is False) `truncated`
    before it stated an answer. What an endpoint's filter ended after the answer was stated counts.
    """
    text = completion.text.strip()
    cut_off = was_cut_off(completion)
    parsed = _apart(text, data, task, cut_off=cut_off and cut_off_counts)
    fault = completion_reject(completion, cut_off_counts=False)
    filtered = completion.finish_reason == "content_filter" and parsed.announced
    if fault is not None and not filtered:
        return fault
    return _truncated(completion) if cut_off and cut_off_counts and not parsed.announced else parsed


def extract_thoughts(completion: Completion, data: Mapping[str, Any], task: Task) -> str:
    """Return a reasoning model's thoughts, without an announcement of the answer at their end."""
    thoughts = (completion.thinking or "").strip()
    parsed = _apart(thoughts, data, task)
    return parsed.rationale if parsed.announced and parsed.rationale else thoughts


def gold_answer(data: Mapping[str, Any], task: Task) -> int | str:
    """Return the row's gold answer: an option's index, in free text the column `answer`."""
    return read_gold(str(data["answer"])).text if task.name == "free_text" else task.gold(data)


def answer_words(answer: int | str | None, data: Mapping[str, Any], task: Task) -> str:
    """Write an answer in words."""
    return task.options(data)[answer] if isinstance(answer, int) else answer or ""


def _apart(
    text: str, data: Mapping[str, Any], task: Task, *, cut_off: bool = False
) -> ParsedCompletion:
    if task.name == "free_text":
        free = read_free_answer(text, cut_off=cut_off)
        sure = free.confidence >= _ANNOUNCED_FREE
        return ParsedCompletion(free.text, free.confidence, sure, free.rationale)
    read = read_answer(text, task.options(data), cut_off=cut_off)
    return ParsedCompletion(
        read.option, read.confidence, read.confidence >= _ANNOUNCED, read.rationale
    )
