"""What a worker has done so far: for the driver, and as counters for a monitoring system.

Knows results of rows; knows nothing of Ray or Prometheus, which hands in how a counter is made.
"""

from __future__ import annotations

import json
from collections import Counter as Counts
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from raygen.core import visible_line
from raygen.dataset import Call, RowResult, Tokens, paid_tokens, sum_tokens

_MANY_CUT = 0.2
_ENOUGH_CUT = 5

Answers = dict[str, tuple[int, int]]
"""By node, how many answers were sampled, and how many of them `max_tokens` cut off."""


def count_answers(calls: Iterable[Call]) -> Answers:
    """Count the sampled answers of some calls."""
    counted: Answers = {}
    for call in calls:
        if call.kind == "generate":
            reasons = [answer["finish_reason"] for answer in json.loads(call.completions)]
            here = {call.node: (len(reasons), reasons.count("length"))}
            counted = add_answers([counted, here])
    return counted


def add_answers(parts: Iterable[Answers]) -> Answers:
    """Add up counts of answers."""
    total: Answers = {}
    for part in parts:
        for node, (answers, cut) in part.items():
            before = total.get(node, (0, 0))
            total[node] = (before[0] + answers, before[1] + cut)
    return total


def often_cut(answers: Answers) -> Answers:
    """Select the nodes whose answers are so often cut off that their `max_tokens` is too low."""
    return {
        node: (all_, cut)
        for node, (all_, cut) in answers.items()
        if cut >= _ENOUGH_CUT and cut >= _MANY_CUT * all_
    }


@dataclass(slots=True)
class WorkerStats:
    """The counters of one worker, read while it runs."""

    phase: str = "starting"
    running: int = 0
    statuses: dict[str, int] = field(default_factory=lambda: {"kept": 0, "dropped": 0, "failed": 0})
    nodes: dict[str, list[int]] = field(default_factory=dict)
    examples: int = 0
    paid: Tokens = field(default_factory=dict)
    reused: int = 0
    restarts: int = 0
    answers: Answers = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    """What engines learned of their backends, for people."""

    def add(self, result: RowResult) -> None:
        """Count one finished row; a node's counts are rows in, kept, dropped, and calls.

        `paid` are the tokens of calls that an engine answered, `reused` counts the others.
        """
        self.statuses[result.status] += 1
        self.examples += len(result.examples)
        for name, (rows_in, kept, dropped) in result.node_counts.items():
            counts = self.nodes.setdefault(name, [0, 0, 0, 0])
            counts[0] += rows_in
            counts[1] += kept
            counts[2] += dropped
        for call in result.calls:
            self.nodes.setdefault(call.node, [0, 0, 0, 0])[3] += 1
            self.reused += call.reused
        self.answers = add_answers([self.answers, count_answers(result.calls)])
        self.paid = sum_tokens([self.paid, paid_tokens(result.calls)])


class Counter(Protocol):
    """A counter that only grows, with a value for each combination of its tags."""

    def inc(self, value: float, tags: dict[str, str]) -> None:
        """Add `value`, which is above 0."""
        ...


class MakeCounter(Protocol):
    """A factory of counters."""

    def __call__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> Counter: ...


class Counters:
    """The counters of one worker for monitoring, which adds the node and the process itself."""

    def __init__(self, make: MakeCounter, recipe: str) -> None:
        self._recipe = recipe
        self._reported: Counts[tuple[str, ...]] = Counts()
        self._counters: Mapping[str, Counter] = {
            "rows": make("raygen_rows", "Source rows that ended.", ("recipe", "status")),
            "examples": make("raygen_examples", "Examples made.", ("recipe",)),
            "tokens": make("raygen_tokens", "Tokens of calls.", ("recipe", "engine", "kind")),
            "reused": make("raygen_reused_calls", "Calls answered from a record.", ("recipe",)),
            "restarts": make("raygen_engine_restarts", "Engines that were rebuilt.", ("recipe",)),
        }

    def update(self, stats: WorkerStats) -> None:
        """Raise the counters to the worker's stats."""
        for status, rows in stats.statuses.items():
            self._set("rows", rows, status=status)
        for engine, tokens in stats.paid.items():
            for kind, number in zip(("prompt", "output"), tokens, strict=True):
                self._set("tokens", number, engine=engine, kind=kind)
        self._set("examples", stats.examples)
        self._set("reused", stats.reused)
        self._set("restarts", stats.restarts)

    def _set(self, name: str, now: int, **tags: str) -> None:
        series = (name, *tags.values())
        if grown := now - self._reported[series]:
            self._reported[series] = now
            labels = {"recipe": self._recipe, **tags}
            self._counters[name].inc(grown, {k: visible_line(v) for k, v in labels.items()})
