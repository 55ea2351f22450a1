"""The counters of a worker, on a fake that keeps what it is told."""

from __future__ import annotations

import json
from collections import Counter as Counts

from raygen.dataset.records import Call
from raygen.runtime.worker_stats import (
    Counters,
    WorkerStats,
    add_answers,
    count_answers,
    often_cut,
)


class FakeCounter:
    """A fake of a monitoring system's counter."""

    def __init__(self, name: str, description: str, tag_keys: tuple[str, ...]) -> None:
        self.name, self.tag_keys = name, tag_keys
        self.values: Counts[tuple[str, ...]] = Counts()
        MADE[name] = self

    def inc(self, value: float, tags: dict[str, str]) -> None:
        assert value > 0
        assert tuple(tags) == self.tag_keys
        self.values[tuple(tags.values())] += int(value)


MADE: dict[str, FakeCounter] = {}


def test_counters_follow_what_the_worker_says() -> None:
    counters = Counters(FakeCounter, "quickstart")
    stats = WorkerStats()
    counters.update(stats)
    assert not any(counter.values for counter in MADE.values())
    stats.statuses["kept"], stats.examples, stats.paid = 3, 9, {"teacher": (100, 40)}
    counters.update(stats)
    stats.statuses["kept"], stats.statuses["failed"], stats.reused = 5, 1, 2
    counters.update(stats)
    counters.update(stats)
    assert MADE["raygen_rows"].values == {("quickstart", "kept"): 5, ("quickstart", "failed"): 1}
    assert MADE["raygen_tokens"].values == {
        ("quickstart", "teacher", "prompt"): 100,
        ("quickstart", "teacher", "output"): 40,
    }
    assert MADE["raygen_examples"].values == {("quickstart",): 9}
    assert MADE["raygen_reused_calls"].values == {("quickstart",): 2}
    assert not MADE["raygen_engine_restarts"].values


def call(node: str, *reasons: str, kind: str = "generate") -> Call:
    completions = json.dumps([{"text": "", "finish_reason": reason} for reason in reasons])
    return Call("id", node, "row", "e", "m", None, kind, "p", "{}", completions, 1, 1, 0.0)


def test_a_node_whose_answers_are_often_cut_off_is_named() -> None:
    long = [call("long", "length", "stop", "length") for _ in range(4)]
    seldom = [call("seldom", "length", *["stop"] * 9) for _ in range(9)]
    few = [call("few", "length", "length")]
    counted = count_answers([*long, *seldom, *few, call("scored", "score", kind="score")])
    assert counted == {"long": (12, 8), "seldom": (90, 9), "few": (2, 2)}
    assert often_cut(add_answers([counted, counted])) == {"long": (24, 16)}
