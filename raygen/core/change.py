"""Compare nested data by its dotted keys.

Knows nothing of what the values mean.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Change:
    """The values at a dotted key on both sides; None on a side that lacks it."""

    key: str
    before: Any
    after: Any

    @property
    def is_text(self) -> bool:
        """Whether the change is best read line by line."""
        return any(isinstance(v, str) and "\n" in v.strip() for v in (self.before, self.after))

    def lines(self) -> list[str]:
        """Write the change as the lines of a unified diff, without the header."""
        old, new = (str(v).splitlines() if v is not None else [] for v in (self.before, self.after))
        return list(difflib.unified_diff(old, new, lineterm="", n=2))[2:]

    def to_json(self) -> dict[str, Any]:
        """Write the change as plain data; a text of several lines comes with its unified diff."""
        values = {"key": self.key, "before": self.before, "after": self.after}
        return {**values, "diff": self.lines()} if self.is_text else values


def flat(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the dotted key and value of each leaf; a list of scalars is one leaf."""
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
    """Compare two nested values leaf by leaf."""
    old, new = dict(flat(before)), dict(flat(after))
    keys = [key for key in dict.fromkeys([*old, *new]) if old.get(key) != new.get(key)]
    return tuple(Change(key, old.get(key), new.get(key)) for key in keys)
