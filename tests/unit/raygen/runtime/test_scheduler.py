"""Which rows run next: all of them, or as many of each class as are needed, whatever the order."""

from __future__ import annotations

import random
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from raygen.core.row import Status
from raygen.dataset.records import LedgerLine
from raygen.runtime.scheduler import AllRows, ClassQuota

ROOM = 1000


def line(key: str, status: Status, *, retryable: bool = False) -> LedgerLine:
    return LedgerLine(key, status, int(status == "kept"), 0, 0, 0, 0.0, (), None, None, "{}",
                      retryable=retryable)  # fmt: skip


def test_all_rows_are_handed_out_once() -> None:
    work = AllRows(["a", "b", "c"], {"b": "kept"}, {"c": ("t1",)}, 1)
    assert work.left
    assert work.tasks == 2
    tasks = work.next(ROOM)
    assert [(task.ordinals, task.files) for task in tasks] == [((0,), ()), ((2,), ("t1",))]
    assert work.next(ROOM) == []
    assert not work.left


def test_rows_that_may_pass_are_run_once_more_with_their_calls() -> None:
    work = AllRows(["a", "b", "c"], {}, {}, 1)
    work.next(ROOM)
    work.add([line("a", "kept"), line("b", "failed"), line("c", "failed", retryable=True)])
    assert work.retryable == {"c"}
    assert work.left
    (task,) = work.retry({"c", "gone"}, {"c": ("t2", "t1")}, ROOM)
    assert (task.ordinals, task.files, task.retry) == ((2,), ("t2", "t1"), True)
    work.add([line("c", "failed")])
    assert work.retryable == set()
    assert not work.left


Outcomes = Mapping[str, Status]


def quota(
    classes: list[str], n: int, done: Outcomes, retryable: set[str] | None = None
) -> ClassQuota:
    rows = [(f"k{i}", name) for i, name in enumerate(classes)]
    work = ClassQuota(rows, sorted(set(classes)), n, {}, 1)
    work.resume(done, retryable or set())
    work.retryable = set(retryable or ())
    return work


def test_rows_without_a_class_run_with_the_first() -> None:
    rows = [("a", "x"), ("b", None), ("c", "x"), ("d", "x")]
    work = ClassQuota(rows, ["x"], 1, {}, 1)
    work.resume({}, ())
    assert sorted(i for task in work.next(ROOM) for i in task.ordinals) == [0, 1]
    assert not work.left
    done = ClassQuota(rows, ["x"], 1, {}, 1)
    done.resume({"a": "kept", "b": "dropped"}, ())
    assert not done.left


def run(work: ClassQuota, outcomes: Outcomes, order: random.Random, stop_after: int) -> Outcomes:
    """Run rows in any order until there is nothing to do, or so many have ended."""
    running: list[str] = []
    ended: dict[str, Status] = {}
    while len(ended) < stop_after:
        running += [f"k{i}" for task in work.next(ROOM) for i in task.ordinals]
        if not running:
            break
        key = running.pop(order.randrange(len(running)))
        ended[key] = outcomes[key]
        work.add([line(key, outcomes[key])])
    return ended


def first_that_can_be(classes: list[str], outcomes: Outcomes, n: int) -> set[str]:
    """The first n kept rows of each class."""
    kept: dict[str, list[str]] = {}
    for i, name in enumerate(classes):
        if outcomes[f"k{i}"] == "kept":
            kept.setdefault(name, []).append(f"k{i}")
    return {key for keys in kept.values() for key in keys[:n]}


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("xyz"), st.sampled_from(["kept", "dropped", "failed"]))),
    st.integers(1, 6),
    st.randoms(use_true_random=False),
    st.lists(st.integers(0, 12), max_size=3),
)
def test_the_kept_rows_are_the_first_of_their_class_whatever_the_order_and_the_kills(
    rows: list[tuple[str, Status]], n: int, order: random.Random, kills: list[int]
) -> None:
    classes = [name for name, _ in rows]
    outcomes: Outcomes = {f"k{i}": status for i, (_, status) in enumerate(rows)}
    done: dict[str, Status] = {}
    for rows_before_kill in [*kills, len(rows) + 1]:
        done |= run(quota(classes, n, done), outcomes, order, rows_before_kill)
    kept = {key for key, status in done.items() if status == "kept"}
    assert kept == first_that_can_be(classes, outcomes, n)
    ended = quota(classes, n, done)
    assert not ended.left
    assert bool(ended.shortage) == any(
        sum(classes[int(key[1:])] == name for key in kept) < n for name in set(classes)
    )


def test_rows_beyond_the_quota_never_start() -> None:
    work = quota(["x", "y"] * 10, 3, {})
    assert sum(len(task.ordinals) for task in work.next(ROOM)) == 6
    assert work.next(ROOM) == []
    work.add([line("k1", "dropped")])
    assert [task.ordinals for task in work.next(ROOM)] == [(7,)], "the next of its class"


def test_a_raised_quota_goes_on(work_done: Outcomes) -> None:
    assert not quota(["x", "y"] * 4, 2, work_done).left
    more = quota(["x", "y"] * 4, 3, work_done)
    assert [task.ordinals for task in more.next(ROOM)] == [(4,), (5,)]


@pytest.fixture
def work_done() -> Outcomes:
    return {"k0": "kept", "k1": "kept", "k2": "kept", "k3": "kept"}


def test_a_row_that_may_pass_keeps_its_place_until_it_was_tried_again() -> None:
    work = quota(["x"] * 4, 1, {"k0": "failed"}, retryable={"k0"})
    assert work.left
    assert work.next(ROOM) == []
    (task,) = work.retry({"k0"}, {}, ROOM)
    assert task.ordinals == (0,)
    work.add([line("k0", "failed")])
    assert [task.ordinals for task in work.next(ROOM)] == [(1,)]


def test_what_is_missing_is_reported() -> None:
    work = quota(["x", "x", "y"], 2, {"k0": "kept", "k1": "kept", "k2": "dropped"})
    assert not work.left
    assert "the source has no more: y: 0;" in work.shortage
