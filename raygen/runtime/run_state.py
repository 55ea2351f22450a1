"""A run at one moment, and how it ended: counts that the driver reports and views show."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal


@dataclass(frozen=True, slots=True)
class NodeCount:
    """What has gone through one node: rows in, rows kept and dropped, engine calls."""

    rows_in: int = 0
    kept: int = 0
    dropped: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    `source`, `kept`, `dropped`, `failed` and `pending` count source rows of the whole dataset, so
    kept + dropped + failed + pending = source; `running` are those of the pending that have
    started. `examples` counts the whole dataset's; nodes, tokens, `reused` calls and `seconds` are
    this run's.
    """

    phase: str = "starting"
    nodes: Mapping[str, NodeCount] = field(default_factory=dict)
    source: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    pending: int = 0
    running: int = 0
    examples: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    reused: int = 0
    seconds: float = 0.0
    log: str = ""

    @property
    def done(self) -> int:
        """Source rows that are finished, one way or the other."""
        return self.kept + self.dropped + self.failed


Outcome = Literal["done", "stopped", "interrupted", "too_many_failed", "failed"]


@dataclass(frozen=True, slots=True)
class RejectCount:
    """How many rows one node dropped for one reason."""

    node: str
    reason: str
    count: int
