"""The store is read in a thread: no step waits for it, and nothing is read after the end."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from streamtrain.data.read_ahead import ReadAhead
from streamtrain.data.stream import ShardStream, StreamOrder
from streamtrain.errors import StreamLostError
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from tests.local.streamtrain.data.test_cursor import made
from tests.local.streamtrain.training.test_model_selection import Commit, State, events, rows

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
DEADLOCK_S = 30.0
"""A wait that takes longer is no wait any more."""


class CountingFeed:
    """A fake dataset that gives some rows at each look, ends with the last, and counts reads.

    `before` is called at the start of each look with its number, from 1.
    """

    def __init__(
        self, parts: Sequence[Sequence[dict[str, Any]]], before: Callable[[int], None] | None = None
    ) -> None:
        self._parts, self._before = list(parts), before or (lambda number: None)
        self._looks = 0
        self._tables: dict[int, Any] = {}
        self.reads: Counter[str] = Counter()
        self.threads: set[int] = set()

    def state(self) -> State:
        self._looks += 1
        self._count("state")
        self._before(self._looks)
        return State(ended=self._looks >= len(self._parts))

    def poll(self) -> Sequence[Commit]:
        self._count("poll")
        part = self._parts[self._looks - 1] if self._looks <= len(self._parts) else ()
        if not part:
            return []
        commit = Commit()
        self._tables[id(commit)] = (commit, pa.Table.from_pylist(list(part)))
        return [commit]

    def read(self, commit: Commit) -> Any:
        self._count("read")
        return self._tables[id(commit)][1]

    def _count(self, what: str) -> None:
        self.reads[what] += 1
        self.threads.add(threading.get_ident())


def drained(feed: ReadAhead, stream: ShardStream) -> list[str]:
    """The ids of all rows that the stream gives, up to its end."""
    found = []
    while not stream.finished:
        feed.wait(DEADLOCK_S)
        stream.poll()
        while (batch := stream.next_batch()) is not None:
            found += [row["id"] for row in batch.rows]
    return found


@pytest.fixture
def opened() -> Iterator[Callable[[CountingFeed], ReadAhead]]:
    """Opens a feed that is read ahead, without a pause between its looks."""
    feeds: list[ReadAhead] = []

    def open_feed(feed: CountingFeed) -> ReadAhead:
        feeds.append(ReadAhead(feed, pause_s=0.0))
        return feeds[-1]

    yield open_feed
    for one in feeds:
        one.close()


def test_a_finished_dataset_is_looked_at_once_however_many_steps_are_taken(
    tiny_model: Path, tmp_path: Path
) -> None:
    job = made(tmp_path, tiny_model, "wait")
    feed = CountingFeed([rows(24)])
    assert train(job, SingleProcess(), lambda: feed, lambda: False, CPU) == "end"
    assert len(events(job.out, "step")) == 12
    assert feed.reads == {"state": 1, "poll": 1, "read": 1}
    assert threading.get_ident() not in feed.threads


def test_steps_go_on_while_the_store_is_slow_to_answer(tiny_model: Path, tmp_path: Path) -> None:
    """The second look isn't answered before the third step is taken."""
    job = made(tmp_path, tiny_model, "wait")
    third, held_up = threading.Event(), []

    def stopping() -> bool:
        if len(events(job.out, "step")) == 3:
            third.set()
        return False

    def before(look: int) -> None:
        if look == 2:
            held_up.append(not third.wait(DEADLOCK_S))

    feed = CountingFeed([rows(24)[:12], rows(24)[12:]], before)
    assert train(job, SingleProcess(), lambda: feed, stopping, CPU) == "end"
    assert held_up == [False]
    assert len(events(job.out, "step")) == 12


def test_a_resumed_run_waits_for_the_rows_that_its_cursor_is_among(
    tiny_model: Path, tmp_path: Path
) -> None:
    """It was stopped in the middle of a chunk, and asks for a batch before the store answers."""
    job = made(tmp_path, tiny_model, "wait")

    def after_two() -> bool:
        return len(events(job.out, "step")) == 2

    assert (
        train(job, SingleProcess(), lambda: CountingFeed([rows(24)]), after_two, CPU) == "stopped"
    )
    requested, turns = threading.Event(), []

    def stopping() -> bool:
        turns.append(None)
        if len(turns) == 2:
            requested.set()
        return False

    def before(look: int) -> None:
        assert requested.wait(DEADLOCK_S)

    resumed = made(tmp_path, tiny_model, "wait", resume=True)
    feed = CountingFeed([rows(24)], before)
    assert train(resumed, SingleProcess(), lambda: feed, stopping, CPU) == "end"
    assert [event["step"] for event in events(job.out, "step")] == list(range(1, 13))


def test_a_dataset_that_lost_rows_that_a_run_is_among_is_one_message(
    tiny_model: Path, tmp_path: Path
) -> None:
    job = made(tmp_path, tiny_model, "wait")

    def after_four() -> bool:
        return len(events(job.out, "step")) == 4

    assert (
        train(job, SingleProcess(), lambda: CountingFeed([rows(24)]), after_four, CPU) == "stopped"
    )
    resumed = made(tmp_path, tiny_model, "wait", resume=True)
    with pytest.raises(StreamLostError, match=r"step 5 needs 20 examples.*ended with 8"):
        train(resumed, SingleProcess(), lambda: CountingFeed([rows(8)]), lambda: False, CPU)


def test_every_step_says_how_long_it_waited_for_its_data_and_the_sum_is_that_of_the_run(
    tiny_model: Path, tmp_path: Path
) -> None:
    """Also where it was the store that was slow, and not the generator."""
    slow_s, requested = 0.3, threading.Event()
    job = made(tmp_path, tiny_model, "wait")

    def before(look: int) -> None:
        assert requested.wait(DEADLOCK_S)
        time.sleep(slow_s)

    def stopping() -> bool:
        requested.set()
        return False

    feed = CountingFeed([rows(24)], before)
    train(job, SingleProcess(), lambda: feed, stopping, CPU)
    steps = events(job.out, "step")
    assert steps[0]["data_wait_s"] >= slow_s
    assert steps[-1]["wait_s"] == pytest.approx(
        sum(step["data_wait_s"] for step in steps), abs=0.01
    )


def test_the_order_of_rows_is_that_of_a_stream_that_reads_them_itself(
    opened: Callable[[CountingFeed], ReadAhead],
) -> None:
    committed, order = rows(50), StreamOrder(7, 16, 0, 2)
    feed = CountingFeed([committed[:20], [], committed[20:21], [], [], committed[21:]])
    ahead = opened(feed)
    direct = ShardStream(CountingFeed([committed]), order)
    direct.poll()
    alone = [row["id"] for batch in iter(direct.next_batch, None) for row in batch.rows]
    assert len(alone) == 100
    assert drained(ahead, ShardStream(ahead, order)) == alone


def test_nothing_is_read_after_the_end(opened: Callable[[CountingFeed], ReadAhead]) -> None:
    feed = CountingFeed([rows(4), rows(8)[4:]])
    ahead = opened(feed)
    stream = ShardStream(ahead, StreamOrder(4, 1, 0, 3))
    assert len(drained(ahead, stream)) == 24
    before = dict(feed.reads)
    ahead.wait(0.0)
    assert not stream.poll()
    assert stream.ended
    assert feed.reads == before == {"state": 2, "poll": 2, "read": 2}
    ahead.close()
    assert not ahead.reading


def test_an_error_of_the_store_comes_after_the_rows_that_were_read_before_it(
    opened: Callable[[CountingFeed], ReadAhead],
) -> None:
    def fail(look: int) -> None:
        if look == 2:
            raise StreamLostError("the store is gone")

    ahead = opened(CountingFeed([rows(4), []], fail))
    stream = ShardStream(ahead, StreamOrder(4, 1, 0, 1))
    while ahead.reading:
        ahead.wait(DEADLOCK_S)
    stream.poll()
    batch = stream.next_batch()
    assert batch is not None
    assert len(batch.rows) == 4
    with pytest.raises(StreamLostError, match="the store is gone"):
        stream.poll()


@dataclass(frozen=True)
class Replacing:
    """A commit; one that `removed` rows leaves nothing to be read of those before it."""

    number: int
    removed: bool = False


class ReplacedFeed:
    """A fake dataset whose first commit was replaced by the second: its file is gone."""

    def __init__(self) -> None:
        self._left = [Replacing(1), Replacing(2, removed=True)]

    def state(self) -> State:
        return State()

    def poll(self) -> Sequence[Replacing]:
        found, self._left = self._left, []
        return found

    def read(self, commit: Replacing) -> Any:
        assert commit.number == 2, "what was replaced can't be read any more"
        return pa.Table.from_pylist(rows(4))


def test_what_was_replaced_is_not_read() -> None:
    ahead = ReadAhead(ReplacedFeed(), pause_s=0.0)
    stream = ShardStream(ahead, StreamOrder(4, 1, 0, 1))
    assert len(drained(ahead, stream)) == 4
    ahead.close()
