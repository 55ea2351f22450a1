"""Compare answers as texts: equal but for case, articles, quotes, and punctuation at their ends.

Signs that make another answer (`-7`, `C++`, `3,5`, `x>5`) count.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

_DASHES = str.maketrans(
    dict.fromkeys("−‐‑‒–—﹣－", "-") | {"’": "'", "‘": "'", "“": '"', "”": '"', "′": "'"}
)
_START = re.compile(r"\A[\s\"`*.,;:!?]+(?=[^\s\d])")
_END = re.compile(r"(?<![\s\"`*.,;:?])(?:[\s\"`*.,;:?]|(?<=[^\W\d]{2})!)+\Z")
"""Begins no try within a run of signs: a long one would be gone over from each of them."""
_BETWEEN = re.compile(
    r"(?<=[^\W\d])[,;:?.](?=\s|\Z)|(?<=[^\W\d]{2})!(?=\s|\Z)|[\"`]|(?<=[^\W\d]{2})-(?=[^\W\d]{2})"
)
_QUOTED = re.compile(r"'([^']*)'")
_ARTICLES = ("a", "an", "the")
_BRACKETED = re.compile(r"[(\[]([^\W\d_]+)[)\]]")


@lru_cache(maxsize=8192)
def normalised(text: str) -> str:
    """Return an answer's words without case, articles, decoration and surplus space."""
    plain = unicodedata.normalize("NFC", text).translate(_DASHES).casefold()
    plain = re.sub(r"[*_]{2}(.+?)[*_]{2}", r"\1", plain)
    plain = _END.sub("", _START.sub("", plain))
    plain = _BETWEEN.sub(lambda sign: " " if sign[0] == "-" else "", plain)
    quoted = _QUOTED.fullmatch(plain)
    plain = quoted[1] if quoted else plain
    bracketed = _BRACKETED.fullmatch(plain)
    words = (bracketed[1] if bracketed else plain).split()
    return " ".join(word for word in words if word not in _ARTICLES) or " ".join(words)


def same_words(one: str, other: str) -> bool:
    """Tell whether two answers are the same text; an empty one is equal to none."""
    words = normalised(one)
    return bool(words) and words == normalised(other)
