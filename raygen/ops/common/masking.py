"""Masked texts: words found and masked, masks filled, and filled texts compared with their masks.

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
    """The characters `start` to `end` of a text, and what kind of words they are."""

    start: int
    end: int
    kind: Kind


def occurrences(text: str, words: str, kind: Kind) -> list[TextSpan]:
    """Find `words` in the text as whole words, ignoring case and spacing.

    A part of a hyphenated word is no whole word.
    """
    named = r"\s+".join(map(re.escape, words.split()))
    if not named:
        return []
    pattern = rf"(?<!\w)(?<!\w-){named}(?!-?\w)"
    return [TextSpan(*m.span(), kind) for m in re.finditer(pattern, text, re.IGNORECASE)]


def spans_touch(text: str, first: TextSpan, second: TextSpan) -> bool:
    """Tell whether two spans overlap, or have nothing but white space between them."""
    left, right = sorted((first, second))
    return not text[left.end : right.start].strip()


def merge_spans(text: str, spans: Iterable[TextSpan]) -> list[TextSpan]:
    """Sort spans and merge those that touch; one with a topic in it becomes a topic."""
    done: list[TextSpan] = []
    for span in sorted(spans):
        if done and spans_touch(text, done[-1], span):
            last = done.pop()
            kind: Kind = "topic" if "topic" in (last.kind, span.kind) else "phrase"
            span = TextSpan(last.start, max(last.end, span.end), kind)
        done.append(span)
    return done


def mask_spans(text: str, spans: Sequence[TextSpan]) -> str:
    """Replace each span by a mask; the spans are in order and don't overlap."""
    pieces, at = [], 0
    for span in spans:
        pieces += [text[at : span.start], MASK]
        at = span.end
    return "".join([*pieces, text[at:]])


def fill_masks(masked: str, fills: Sequence[str]) -> str:
    """Fill the masks in order. Raises ValueError if the counts differ."""
    first, *rest = masked.split(MASK)
    return first + "".join(fill + piece for fill, piece in zip(fills, rest, strict=True))


_END = re.compile(r"[\s.?!…]*\Z")
_FILL = r"(\S(?:.*?\S)??)"
_SENTENCE_END = re.compile(
    r"[?!][\"'”)]*\s|(?<!\b[A-Z])(?<!\bMr)(?<!\bMs)(?<!\bMrs)(?<!\bDr)(?<!\bSt)\.\s+[A-Z]"
)


def extract_fills(masked: str, filled: str) -> list[str] | None:
    """Extract what stands for each mask in `filled`; None if other words changed.

    Differences that don't count: the case of the first letter, the amount of white space, `a` for
    `an`, and the punctuation at the very end. A mask stands for words, so what fills it may not end
    a sentence and begin another.
    """
    if MASK not in masked:
        return None
    match = re.fullmatch(_pattern(_without_end(masked)), _without_end(filled), re.DOTALL)
    if match is None or any(_SENTENCE_END.search(fill) for fill in match.groups()):
        return None
    return list(match.groups())


def restore_ending(masked: str, filled: str) -> str:
    """Put the filled text on one line and end it as the masked text ends."""
    end = masked.strip().removeprefix(_without_end(masked))
    return " ".join(_without_end(filled).split()) + end


def _without_end(text: str) -> str:
    return _END.sub("", text.strip())


def _pattern(masked: str) -> str:
    """Build a pattern with a group for each mask.

    A mask takes the least that lets the next words follow and keeps it (an atomic group), so that a
    text that doesn't fit is refused in one pass, however many masks there are.
    """
    pieces = masked.split(MASK)
    first, *between, last = (
        _between_masks(piece, start=index == 0, end=index == len(pieces) - 1)
        for index, piece in enumerate(pieces)
    )
    return first + "".join(f"(?>{_FILL}{piece})" for piece in between) + _FILL + last


def _between_masks(piece: str, *, start: bool, end: bool) -> str:
    """Build a pattern for the words between two masks, or between a mask and an end of the text."""
    patterns = [_word(word) for word in piece.split()]
    if not patterns:
        return r"\s*"
    if start:
        patterns[0] = _any_case(patterns[0], piece.split()[0])
    before = "" if start else _gap(piece[0])
    after = "" if end else _gap(piece[-1])
    return before + r"\s+".join(patterns) + after


def _gap(text: str) -> str:
    return r"\s+" if text.isspace() else r"\s*"


def _word(word: str) -> str:
    return rf"{word[0]}n?" if word in ("a", "an", "A", "An") else re.escape(word)


def _any_case(pattern: str, word: str) -> str:
    """Let the first letter of a word's pattern have either case."""
    head = re.escape(word[0])
    return f"(?:{head}|{re.escape(word[0].swapcase())})" + pattern[len(head) :]
