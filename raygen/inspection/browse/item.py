"""Define an item to look at: an example, or a row that a node dropped.

Knows nothing of where items come from or how they are rendered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ItemRef:
    """Identifies an item: an example by its id, a reject by its index among its source row's."""

    id: str
    key: str
    node: str
    """The output that gave the example, or the node that dropped the row."""
    reason: str | None = None
    """None for an example."""
    detail: str = ""
    index: int = 0

    @property
    def kept(self) -> bool:
        """Whether the item is an example."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its columns.

    `source` is the source row that it descends from, empty where the dataset's copy is gone.
    `completions` are those that a reject was made of. A reject that isn't `exact` couldn't be
    replayed: its `data` is the source row, its `completions` are all that the node received for
    that row.
    """

    ref: ItemRef
    data: Mapping[str, Any]
    source: Mapping[str, Any]
    completions: tuple[str, ...] = ()
    exact: bool = True

    def contains(self, text: str) -> bool:
        """Tell whether a column, completion or reject detail contains a text, up to case."""
        needle = text.casefold()
        values = (*self.data.values(), *self.completions, self.ref.detail)
        return any(needle in str(value).casefold() for value in values)

    def to_json(self) -> dict[str, Any]:
        """Convert the item to JSON."""
        ref = self.ref
        fate = {"kept": ref.kept, "node": ref.node, "reason": ref.reason, "detail": ref.detail}
        more = {"said": list(self.completions), "whole": self.exact} if not ref.kept else {}
        return {"id": ref.id, "key": ref.key, **fate, "row": dict(self.data), **more}
