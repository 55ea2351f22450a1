"""Find where a text announces its answer: in a JSON object, a box, or a phrase ("the answer is").

Knows nothing of options: it says where the announcement starts and what follows it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_OPENER = r"(?:(?:and\s+)?(?:so|therefore|thus|hence|finally|in\s+conclusion|overall),?\s+)?"
_QUALITY = r"(?:(?:correct|best|right|final|most\s+\w+|only|closest|likely|possible)\s+){0,6}"
_ADVERB = r"(?:(?:therefore|thus|hence|then|probably|likely|most\s+likely|clearly|simply)\s+)?"
_DECORATION = r"[\s*_`]{0,6}"
_PHRASE = re.compile(
    r"(?<!each )(?<!every )(?<!any )(?<!all )(?<!each answer )(?<!every answer )"
    rf"\b{_OPENER}(?:(?:the|my|our|your)\s+)?{_QUALITY}"
    rf"(?:answer|option|choice|label)\b{_DECORATION}"
    r"(?:(?:to|for|here|in)\b[^.:\n]{0,60}?\s)?"
    rf"(?:(?P<weak>(?:would|must|should|could|might|may|can)\s+{_ADVERB}be\b)"
    rf"|(?:is|are|was)\b|[:=]|\s[-–—]\s)"
    rf"{_DECORATION}:?{_DECORATION}"
    r"|(?:^|\n)[^\S\n]*####\s*",
    re.IGNORECASE,
)
_CHOSEN = re.compile(
    rf"\b{_OPENER}I\s+(?:would\s+|will\s+|'d\s+|'ll\s+)?(?:choose|pick|select|go\s+with|answer)\s*:?\s+",
    re.IGNORECASE,
)
_BOX = re.compile(r"\\boxed\s*\{")
_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit)\s*\{([^{}]*)\}")
_FRACTION = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ANSWER_KEYS = ("answer", "final_answer", "choice", "option", "label", "prediction", "predicted")
_MOST_OBJECTS = 500
"""So many objects from the end are looked into: a model may say `{"a":` for ever."""
_LONGEST = 20_000
_BLANKS = re.compile(r"\s{65,}")
_REASON_KEYS = ("rationale", "reasoning", "explanation", "reason", "thought", "thoughts")


@dataclass(frozen=True, slots=True)
class Announcement:
    """An announcing phrase `text[start:end]`; the answer follows from `end` on.

    `weak` marks a phrase that describes as often as it announces ("the answer must be a place").
    """

    start: int
    end: int
    weak: bool = False


@dataclass(frozen=True, slots=True)
class Stated:
    """An answer that a JSON object or a box holds, and the text before it."""

    value: str
    rationale: str


def readable(text: str) -> tuple[str, str]:
    """Split a text before the last 20,000 characters, which are what is searched for an answer.

    Shortens long runs of white space, which a degenerate model writes until it is stopped.
    """
    text = _BLANKS.sub(lambda run: run.group()[:64], text.strip())
    at = max(0, len(text) - _LONGEST)
    return text[:at], text[at:]


def announcements(text: str) -> list[Announcement]:
    """Find the announcing phrases of a text, in order."""
    phrases = [
        Announcement(match.start(), match.end(), match["weak"] is not None)
        for match in _PHRASE.finditer(text)
    ]
    phrases += [Announcement(match.start(), match.end()) for match in _CHOSEN.finditer(text)]
    return sorted(phrases, key=lambda each: each.start)


def json_answer(text: str) -> Stated | None:
    """Read the answer of the last JSON object that has one.

    The rationale is the object's own, or else the text before the object.
    """
    decoder = json.JSONDecoder()
    for match in reversed(list(re.finditer(r"\{", text))[-_MOST_OBJECTS:]):
        try:
            value, _ = decoder.raw_decode(text, match.start())
        except (ValueError, RecursionError):  # a plain ValueError: a number of 5,000 digits
            continue
        answer = _entry(value, _ANSWER_KEYS)
        if answer is not None:
            before = re.sub(r"\s*```(?:json)?\s*\Z", "", text[: match.start()]).rstrip()
            return Stated(answer, _entry(value, _REASON_KEYS) or before)
    return None


def boxed_answer(text: str) -> Stated | None:
    r"""Read the content of the last \boxed{...}, and the text before it."""
    boxes = list(_BOX.finditer(text))
    if not boxes:
        return None
    start, end = boxes[-1].start(), boxes[-1].end()
    depth, at = 1, end
    while at < len(text) and depth:
        depth += {"{": 1, "}": -1}.get(text[at], 0)
        at += 1
    if depth:
        return None
    value = _FRACTION.sub(r"\1/\2", _WRAPPER.sub(r"\1", text[end : at - 1])).strip()
    before = text[:start].rstrip().rstrip("$\\([").rstrip()
    phrases = announcements(before + " ")
    if phrases and not before[phrases[-1].end :].strip():
        before = before[: phrases[-1].start]
    return Stated(value, before.rstrip()) if value else None


def _entry(value: Any, keys: tuple[str, ...]) -> str | None:
    if not isinstance(value, Mapping):
        return None
    folded = {str(name).casefold(): entry for name, entry in value.items()}
    for key in keys:
        entry = folded.get(key)
        if isinstance(entry, bool):
            return "yes" if entry else "no"
        if isinstance(entry, str | int | float) and str(entry).strip():
            return str(entry).strip()
    return None
