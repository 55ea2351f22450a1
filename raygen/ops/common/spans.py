"""Spans of a text: finding named words in it, merging, masking and unmasking.

Knows nothing of engines, rows or languages: a word is what stands between non-word characters.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

MASK = "[MASK]"

Kind = Literal["topic", "phrase"]


@dataclass(frozen=True, slots=True, order=True)
class TextSpan:
    """The characters `start` to `end` of a text, and what was named there."""

    start: int
    end: int
    kind: Kind


def occurrences(text: str, words: str, kind: Kind) -> list[TextSpan]:
    """Return every place where `words` stand in the text as whole words, whatever the case and
    spacing.

    The parts of a hyphenated word are no whole words.
    """
    named = r"\s+".join(map(re.escape, words.split()))
    if not named:
        return []
    pattern = rf"(?<!\w)(?<!\w-){named}(?!-?\w)"
    return [TextSpan(*m.span(), kind) for m in re.finditer(pattern, text, re.IGNORECASE)]


def spans_touch(text: str, one: TextSpan, other: TextSpan) -> bool:
    """Tell whether two spans overlap, or have nothing but white space between them."""
    first, second = sorted((one, other))
    return not text[first.end : second.start].strip()


def merge_spans(text: str, spans: Iterable[TextSpan]) -> list[TextSpan]:
    """Return the spans in order, those that touch made into one; a topic makes the whole a
    topic."""
    done: list[TextSpan] = []
    for span in sorted(spans):
        if done and spans_touch(text, done[-1], span):
            last = done.pop()
            kind: Kind = "topic" if "topic" in (last.kind, span.kind) else "phrase"
            span = TextSpan(last.start, max(last.end, span.end), kind)
        done.append(span)
    return done


def mask_spans(text: str, spans: Sequence[TextSpan]) -> str:
    """Return the text with a mask for each span; the spans are in order and don't overlap."""
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], MASK]
        at = span.end
    return "".join([*pieces, text[at:]])


def fill_masks(masked: str, fills: Sequence[str]) -> str:
    """Return the masked text with its masks filled in order. Raises ValueError where counts
    differ."""
    first, *rest = masked.split(MASK)
    return first + "".join(fill + kept for fill, kept in zip(fills, rest, strict=True))


def count_words(text: str) -> int:
    """Count how many words a text has."""
    return len(re.findall(r"\w+(?:['’]\w+)*", text))
