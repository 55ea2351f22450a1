"""An item to look at: an example that was kept, or a row that a node dropped.

Knows nothing of where items come from or how they read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Ref:
    """Which item: an example by its id, or the reject at a `place` among those of a source row."""

    id: str
    key: str
    node: str
    """The output that gave the example, or the node that dropped the row."""
    reason: str | None = None
    """None for an example."""
    detail: str = ""
    place: int = 0

    @property
    def kept(self) -> bool:
        """Whether it is an example."""
        return self.reason is None


@dataclass(frozen=True, slots=True)
class Item:
    """An item with its columns.

    `source` is the source row that it descends from, empty where the dataset's copy is gone. `said`
    are the completions that a reject came from. Of a reject that is not `whole`, only the source
    row and all that its node was told are known, not which of it was dropped.
    """

    ref: Ref
    data: Mapping[str, Any]
    source: Mapping[str, Any]
    said: tuple[str, ...] = ()
    whole: bool = True

    def has(self, text: str) -> bool:
        """Whether a text stands in it, up to case."""
        wanted = text.casefold()
        values = (*self.data.values(), *self.said, self.ref.detail)
        return any(wanted in str(value).casefold() for value in values)

    def to_json(self) -> dict[str, Any]:
        """The item for a program."""
        ref = self.ref
        fate = {"kept": ref.kept, "node": ref.node, "reason": ref.reason, "detail": ref.detail}
        more = {"said": list(self.said), "whole": self.whole} if not ref.kept else {}
        return {"id": ref.id, "key": ref.key, **fate, "row": dict(self.data), **more}
