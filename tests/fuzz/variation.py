"""Variations of a generated value, which cost microseconds: others of its own type and form."""

from __future__ import annotations

from random import Random
from typing import Any, TypeVar

from tests.fuzz.strategies import NASTY

Text = TypeVar("Text", str, bytes)

_MOST = 10_000
"""Characters of a text that is varied."""
_TEXTS = [*NASTY, *"\\\"'{}[]()<>:,.;%#@/~*&|?!=+-_ \n\0\x1b"]
_BYTES = [text.encode("utf-8", "surrogatepass") for text in _TEXTS] + [b"\xff", b"\xc3", b"\x80"]
_SCALARS = (None, True, False, 0, 1, -1, 2**63, 2**70, 0.5, float("nan"), float("inf"), "", [], {})


def varied(value: Any, random: Random) -> Any:
    """Return another value: a text with a part replaced, plain data with a value in it replaced.

    Lists keep their length.
    """
    if isinstance(value, str):
        return _spliced(value, random.choice(_TEXTS), random)
    if isinstance(value, bytes):
        return _spliced(value, random.choice(_BYTES), random)
    if isinstance(value, list) and value:
        place = random.randrange(len(value))
        return [*value[:place], _replaced(value[place], random), *value[place + 1 :]]
    if isinstance(value, dict) and value:
        key = random.choice(list(value))
        rest = {name: each for name, each in value.items() if name != key}
        return rest if random.random() < 0.1 else {**rest, key: _replaced(value[key], random)}
    if isinstance(value, int) and not isinstance(value, bool):
        return random.randint(-2 * abs(value) - 1, 2 * abs(value) + 1)
    return value


def _replaced(value: Any, random: Random) -> Any:
    """Vary a value within plain data; a text stays one, anything else may become any scalar."""
    if not isinstance(value, str) and random.random() < 0.2:
        return random.choice(_SCALARS)
    return varied(value, random)


def _spliced(text: Text, other: Text, random: Random) -> Text:
    text = text[:_MOST]
    start = random.randint(0, len(text))
    end = random.randint(start, min(len(text), start + 40))
    middle = (text[:0], other[:_MOST], text[start:end] * 2)[random.randrange(3)]
    return text[:start] + middle + text[end:]
