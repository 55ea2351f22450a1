"""Job: what a worker process needs to run its share of a plan, small enough to travel.

Knows nothing of Ray: how it is cut into tasks and how many rows are in flight, nothing of who
runs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path

from raygen.dataset.folder import Folder
from raygen.engines.base import Backend
from raygen.plan import Plan

_ROWS_IN_FLIGHT: dict[Backend, int] = {
    "vllm": 256,
    "openai": 512,
    "transformers": 32,
    "fake": 512,
}
_BLOCK_ROWS = 64
_BLOCKS_PER_ACTOR = 16


@dataclass(frozen=True, slots=True)
class Task:
    """One block of source rows, by their ordinals in the keyed copy."""

    block: int
    ordinals: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Job:
    """A plan bound to an output folder and a keyed copy of its source.

    `concurrency` is the rows in flight per actor, `probe` a file that each actor must see.
    """

    plan: Plan
    folder: Folder
    source: str
    probe: str
    replicas: tuple[int, int]
    concurrency: int
    threads: int
    logs: str
    trusted: tuple[Path, ...] = ()

    @property
    def gpus(self) -> int:
        """GPUs that one actor holds: the sum over its engines."""
        return sum(spec.gpus for spec in self.plan.engines.values())

    def blocks_in_flight(self, block_rows: int) -> int:
        """Blocks an actor holds: the rows that run, and twice as many that wait."""
        return max(2, ceil(3 * self.concurrency / block_rows))


def rows_in_flight(plan: Plan) -> int:
    """Rows in flight per actor where the profile doesn't say: what the engines can use."""
    return max((_ROWS_IN_FLIGHT[spec.backend] for spec in plan.engines.values()), default=64)


def cut(ordinals: Sequence[int], actors: int) -> list[Task]:
    """Cut pending rows into blocks small enough that rows come out while others still run."""
    size = min(_BLOCK_ROWS, max(1, ceil(len(ordinals) / (actors * _BLOCKS_PER_ACTOR))))
    starts = range(0, len(ordinals), size)
    return [Task(i, tuple(ordinals[at : at + size])) for i, at in enumerate(starts)]
