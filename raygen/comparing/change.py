"""A value that is another one on the other side: nested data flattened and compared by its keys.

Knows nothing of what the values mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """What stands at a dotted key on both sides; None where nothing does."""

    key: str
    before: Any
    after: Any

    @property
    def is_text(self) -> bool:
        """Whether it is best read line by line."""
        return any(isinstance(v, str) and "\n" in v.strip() for v in (self.before, self.after))

    def lines(self) -> list[str]:
        """The change as a unified diff, without its head."""
        old, new = (str(v).splitlines() if v is not None else [] for v in (self.before, self.after))
        return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]

    def to_json(self) -> dict[str, Any]:
        """The change as a JSON object; a text of several lines with its unified diff."""
        told = {"key": self.key, "before": self.before, "after": self.after}
        return {**told, "diff": self.lines()} if self.is_text else told


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """The dotted key and the value of everything inside; a list of plain values is one value."""
    if isinstance(value, Mapping) and (value or not key):
        parts = list(value.items())
    elif isinstance(value, list | tuple) and any(isinstance(v, Mapping | list) for v in value):
        parts = [(str(index), part) for index, part in enumerate(value)]
    else:
        yield key, list(value) if isinstance(value, tuple) else value
        return
    for name, part in parts:
        yield from flat(part, f"{key}.{name}" if key else str(name))


def changes(before: Any, after: Any) -> tuple[Change, ...]:
    """Everything that is different between two nested values, by dotted key."""
    old, new = dict(flat(before)), dict(flat(after))
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    return tuple(Change(key, old.get(key), new.get(key)) for key in keys)
