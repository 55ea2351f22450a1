"""Counters: what a worker has done, as counters that a monitoring system reads.

Knows nothing of Ray or Prometheus; it is told how to make a counter.
"""

from __future__ import annotations

from collections import Counter as Counts
from collections.abc import Mapping
from typing import Protocol

from raygen.runtime.worker import WorkerStats


class Counter(Protocol):
    """Something that only grows, kept apart by the values of its tags."""

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Add `value`, which is above 0."""
        ...


class MakeCounter(Protocol):
    """Makes a counter."""

    def __call__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Counter: ...


class Counters:
    """The counters of one worker. Whoever collects them adds the node and the process."""

    def __init__(self, make: MakeCounter, recipe: str) -> None:
        self._recipe = recipe
        self._told: Counts[tuple[str, ...]] = Counts()
        self._counters: Mapping[str, Counter] = {
            "rows": make("raygen_rows", "Source rows that ended.", ("recipe", "status")),
            "examples": make("raygen_examples", "Examples made.", ("recipe",)),
            "tokens": make("raygen_tokens", "Tokens of calls.", ("recipe", "engine", "kind")),
            "reused": make("raygen_reused_calls", "Calls answered from a record.", ("recipe",)),
            "restarts": make("raygen_engine_restarts", "Engines that were rebuilt.", ("recipe",)),
        }

    def update(self, live: WorkerStats) -> None:
        """Bring the counters to what the worker says now."""
        for status, rows in live.statuses.items():
            self._set("rows", rows, status=status)
        for engine, tokens in live.paid.items():
            for kind, number in zip(("prompt", "output"), tokens, strict=True):
                self._set("tokens", number, engine=engine, kind=kind)
        self._set("examples", live.examples)
        self._set("reused", live.reused)
        self._set("restarts", live.restarts)

    def _set(self, name: str, now: int, **tags: str) -> None:
        place = (name, *tags.values())
        if grown := now - self._told[place]:
            self._told[place] = now
            self._counters[name].inc(grown, {"recipe": self._recipe, **tags})
