"""Where a run stands in its stream.

Knows nothing of rows, or of how their order is made.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where a run stands in its stream: a chunk of new rows and a pass of replayed ones.

    What is counted here are units. A chunk or pass covers `*_size` rows, of which `*_taken` are
    used; chunks lie end to end from row `chunk_start`, and a pass covers the first `pass_size`
    rows. `plan` is the dataset's plan.
    """

    chunk: int = -1
    chunk_start: int = 0
    chunk_size: int = 0
    chunk_taken: int = 0
    replay_pass: int = -1
    pass_size: int = 0
    pass_taken: int = 0
    replayed: int = 0
    plan: str | None = None

    @property
    def fresh(self) -> int:
        """New rows used so far."""
        return self.chunk_start + self.chunk_taken

    @property
    def used(self) -> int:
        """Rows used so far, replayed ones included."""
        return self.fresh + self.replayed

    @property
    def known(self) -> int:
        """How many units were there, at least, when it came to stand where it does."""
        return max(self.chunk_start + self.chunk_size, self.pass_size)

    def to_json(self) -> dict[str, Any]:
        """Plain data that `from_json` reads back."""
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Cursor:
        """The cursor that `to_json` wrote. Raises TypeError on other keys."""
        return cls(**data)
