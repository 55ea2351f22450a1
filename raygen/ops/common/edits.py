"""Edited texts: extracted from a model's answer, and their distance from the original.

Knows nothing of engines, rows or labels' meaning.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz.distance import Levenshtein

_TOKEN = re.compile(r"\w+|[^\w\s]")
_PREAMBLE = re.compile(
    r"\A(?:(?:sure|certainly|of course|okay|ok)\b[!,.]*\s*)?"
    r"(?:[^\n:]{0,80}\b(?:sentence|text|question|edit|version|revision|rewrite|output|change"
    r"|edited|revised|rewritten|changed|modified|counterfactual)\b[^\n:]{0,80})?:\s*"
    r"|\A(?:sure|certainly|of course)\b[!,.]+\s*(?:here (?:it )?is[^\n:]{0,80}:)?\s*",
    re.IGNORECASE,
)
_QUOTES = {'"': '"', "“": "”", "«": "»", "'": "'", "`": "`", "‘": "’"}
_DOUBLE = ('"', "“", "«")
_AROUND_LABEL = 100
"""Characters that may stand around a label at the end of an answer."""


def edit_tokens(text: str) -> list[str]:
    """Split a text into words and punctuation marks."""
    return _TOKEN.findall(text)


def token_distance(first: str, second: str) -> float:
    """Compute the Levenshtein distance in tokens, as a share of the longer text's."""
    return Levenshtein.normalized_distance(edit_tokens(first), edit_tokens(second))


def character_distance(first: str, second: str) -> float:
    """Compute the Levenshtein distance in characters, as a share of the longer text's."""
    return Levenshtein.normalized_distance(first, second)


def extract_edit(answer: str, original: str, options: Sequence[str]) -> str:
    """Extract the edited text from a model's answer.

    Strips an announcement ("Here is the sentence:"), quotation marks, bold marks, a label after the
    text, and, if the original is one line, further lines. What the original also has stays.
    """
    text = answer.strip()
    if not _PREAMBLE.match(original):
        text = _PREAMBLE.sub("", text, count=1)
    if "\n" not in original.strip():
        text = text.split("\n", 1)[0].strip()
    if "**" not in original:
        text = text.replace("**", "")
    return _unquoted(_without_label(text, original, options), original)


def _without_label(text: str, original: str, options: Sequence[str]) -> str:
    names = "|".join(re.escape(option) for option in options)
    marked = rf"(?:(?:new |the )?label\s*(?:is|:)|[-=]+>|→|\|)\s*[\"'(\[]?(?:{names})[\"')\]]?"
    label = re.compile(rf"(?:\(?{marked}|[(\[](?:{names})[)\]])\)?\.?\Z", re.IGNORECASE)
    # Only the end is searched: a model may say the same for ever.
    longest = _AROUND_LABEL + max(map(len, options), default=0)
    if label.search(original, max(0, len(original) - longest)):
        return text
    match = label.search(text, max(0, len(text) - longest))
    return text[: match.start()].rstrip() if match else text


def _unquoted(text: str, original: str) -> str:
    """Strip a pair of quotation marks, and an explanation that follows the closing one."""
    closing = _QUOTES.get(text[:1])
    if closing is None or original.lstrip()[:1] == text[:1]:
        return text
    inner, mark, after = text[1:].rpartition(closing)
    if mark and closing not in inner and not after.strip(" ."):
        return inner.strip()
    quoted = text[1:].split(closing, 1)[0].strip()
    is_long_enough = len(edit_tokens(quoted)) >= len(edit_tokens(original)) / 2
    has_marks = text[0] in original or closing in original
    return quoted if mark and is_long_enough and not has_marks and text[0] in _DOUBLE else text
