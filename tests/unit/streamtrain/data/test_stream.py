"""The order of rows: nothing lost or repeated, the same for any timing, world size or restart."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streamtrain.config.student import StudentConfig
from streamtrain.data.cursor import Cursor
from streamtrain.data.epoch_units import SHARE
from streamtrain.data.stream import ShardStream, StreamOrder, make_order, rank_slice
from streamtrain.errors import InputError, StreamLostError


@dataclass
class FakeTable:
    """A fake of pyarrow.Table: the few methods that a stream uses, over a list."""

    rows: list[dict[str, Any]]

    @property
    def num_rows(self) -> int:
        return len(self.rows)

    def take(self, indices: list[int]) -> FakeTable:
        return FakeTable([self.rows[index] for index in indices])

    def slice(self, offset: int, length: int) -> FakeTable:
        return FakeTable(self.rows[offset : offset + length])

    def to_pylist(self) -> list[dict[str, Any]]:
        return list(self.rows)


@dataclass(frozen=True)
class FakeCommit:
    ids: tuple[int, ...]
    removed: bool = False


@dataclass(frozen=True)
class FakeState:
    ended: bool = False
    plan_hash: str | None = "plan-a"
    beat: str | None = None


@dataclass
class FakeFeed:
    """A fake of raygen.dataset.Follower: `arrive` is what a generator would commit."""

    waiting: list[FakeCommit] = field(default_factory=list)
    now: FakeState = FakeState()

    def arrive(self, ids: Sequence[int], removed: bool = False) -> None:
        self.waiting.append(FakeCommit(tuple(ids), removed))

    def poll(self) -> Sequence[FakeCommit]:
        commits, self.waiting = self.waiting, []
        return commits

    def read(self, commit: FakeCommit) -> FakeTable:
        return FakeTable([{"id": number} for number in commit.ids])

    def state(self) -> FakeState:
        return self.now


def full_feed(rows: int) -> FakeFeed:
    feed = FakeFeed(now=FakeState(ended=True))
    feed.arrive(range(rows))
    return feed


def ids(stream: ShardStream, limit: int = 10_000) -> list[list[int]]:
    """All batches that can be drawn now, as lists of row ids."""
    batches = []
    while len(batches) < limit and (batch := stream.next_batch()) is not None:
        batches.append([row["id"] for row in batch.rows])
    return batches


def undisturbed(rows: int, order: StreamOrder) -> list[list[int]]:
    stream = ShardStream(full_feed(rows), order)
    stream.poll()
    return ids(stream)


orders = st.builds(
    StreamOrder,
    batch=st.integers(1, 9),
    shuffle=st.integers(1, 64),
    seed=st.integers(0, 5),
    epochs=st.integers(1, 4),
)
growth = st.lists(st.integers(0, 30), max_size=8)


@given(orders, growth)
def test_every_epoch_has_every_row_once(order: StreamOrder, parts: list[int]) -> None:
    rows = sum(parts)
    drawn = [number for batch in undisturbed(rows, order) for number in batch]
    assert len(drawn) == rows * (order.epochs or 0)
    for epoch in range(order.epochs or 0):
        assert sorted(drawn[epoch * rows : (epoch + 1) * rows]) == list(range(rows))


@given(orders, growth)
def test_the_order_does_not_depend_on_when_rows_arrive(
    order: StreamOrder, parts: list[int]
) -> None:
    feed, drawn, start = FakeFeed(), [], 0
    stream = ShardStream(feed, order)
    for part in parts:
        feed.arrive(range(start, start + part))
        start += part
        stream.poll()
        drawn += ids(stream)
    feed.now = FakeState(ended=True)
    stream.poll()
    drawn += ids(stream)
    assert drawn == undisturbed(sum(parts), order)
    assert stream.finished


@given(orders, growth, st.integers(0, 200))
def test_a_resume_from_any_cursor_is_the_rest_of_the_undisturbed_run(
    order: StreamOrder, parts: list[int], stop: int
) -> None:
    """Also where the run was cut while the dataset was still growing."""
    feed, drawn, start = FakeFeed(), [], 0
    stream = ShardStream(feed, order)
    for part in parts:
        feed.arrive(range(start, start + part))
        start += part
        stream.poll()
        drawn += ids(stream, limit=max(0, stop - len(drawn)))
    saved = json.loads(json.dumps(stream.cursor.to_json()))
    resumed = ShardStream(full_feed(sum(parts)), order, Cursor.from_json(saved))
    resumed.poll()
    assert drawn + ids(resumed) == undisturbed(sum(parts), order)


@given(st.lists(st.integers(), max_size=40), st.integers(1, 9))
def test_the_ranks_share_a_global_batch_without_loss(items: list[int], size: int) -> None:
    parts = [list(rank_slice(items, rank, size)) for rank in range(size)]
    assert [item for part in parts for item in part] == items
    assert max(map(len, parts)) - min(map(len, parts)) <= 1


def test_the_first_step_needs_one_batch_only_and_chunks_double() -> None:
    feed = FakeFeed()
    stream = ShardStream(feed, StreamOrder(batch=4, shuffle=16, seed=0, epochs=1))
    feed.arrive(range(3))
    stream.poll()
    assert stream.next_batch() is None
    feed.arrive([3])
    stream.poll()
    first = stream.next_batch()
    assert first is not None
    assert sorted(row["id"] for row in first.rows) == [0, 1, 2, 3]
    feed.arrive(range(4, 60))
    stream.poll()
    rest = [number for batch in ids(stream) for number in batch]
    borders = [0, 8, 24, 40, 56]
    for begin, end in pairwise(borders):
        assert sorted(rest[begin:end]) == list(range(4 + begin, 4 + end))
    assert len(rest) == 56


def test_rows_are_shuffled_with_the_seed() -> None:
    one, other = (undisturbed(64, StreamOrder(8, 64, seed, 2)) for seed in (0, 1))
    assert one != other
    flat = [number for batch in one for number in batch]
    assert flat[:64] != flat[64:]
    assert flat[:64] != list(range(64))


def test_replay_keeps_the_trainer_busy_and_the_length_of_the_run() -> None:
    feed = FakeFeed()
    stream = ShardStream(feed, StreamOrder(4, 8, 0, epochs=3, reuse=3))
    feed.arrive(range(4))
    stream.poll()
    early = ids(stream)
    assert [sorted(batch) for batch in early] == [[0, 1, 2, 3]] * 3
    feed.arrive(range(4, 20))
    feed.now = FakeState(ended=True)
    stream.poll()
    assert stream.remaining() == 3 * 20 - 12
    everything = [number for batch in early + ids(stream) for number in batch]
    assert len(everything) == 60
    assert set(Counter(everything)) == set(range(20))
    assert stream.finished


@pytest.mark.parametrize(("reuse", "batches"), [(1, 1), (2, 2), (5, 5)])
def test_a_row_is_used_so_often_at_most_while_the_stream_waits(reuse: int, batches: int) -> None:
    feed = FakeFeed()
    stream = ShardStream(feed, StreamOrder(4, 8, 0, epochs=None, reuse=reuse))
    feed.arrive(range(4))
    stream.poll()
    assert len(ids(stream, limit=20)) == batches
    feed.now = FakeState(ended=True)
    stream.poll()
    assert len(ids(stream, limit=20)) == 20


def test_without_epochs_the_stream_goes_on_for_ever() -> None:
    stream = ShardStream(full_feed(5), StreamOrder(2, 8, 0, epochs=None))
    stream.poll()
    assert len(ids(stream, limit=50)) == 50
    assert stream.remaining() is None
    assert not stream.finished


def test_an_empty_dataset_that_ended_is_finished() -> None:
    stream = ShardStream(full_feed(0), StreamOrder(2, 8, 0, epochs=2))
    stream.poll()
    assert stream.next_batch() is None
    assert stream.finished


def odd(row: Mapping[str, Any]) -> str | None:
    return "odd" if row["id"] % 2 else None


def test_refused_rows_are_no_part_of_the_stream() -> None:
    stream = ShardStream(full_feed(10), StreamOrder(2, 8, 0, 1), refusal=odd)
    stream.poll()
    assert sorted(chain.from_iterable(ids(stream))) == [0, 2, 4, 6, 8]
    assert stream.left_out == {"odd": 5}


def test_refused_rows_of_a_dataset_that_was_replaced_are_not_counted() -> None:
    feed = FakeFeed()
    stream = ShardStream(feed, StreamOrder(2, 8, 0, 1), refusal=odd)
    feed.arrive(range(6))
    stream.poll()
    feed.arrive(range(5, 9), removed=True)
    stream.poll()
    assert stream.left_out == {"odd": 2}


def test_rows_that_come_after_an_end_are_trained_on_too() -> None:
    feed = full_feed(5)
    order = StreamOrder(2, 8, 0, epochs=2)
    stream = ShardStream(feed, order)
    stream.poll()
    before = ids(stream)
    feed.arrive(range(5, 9))
    stream.poll()
    everything = Counter(chain.from_iterable(before + ids(stream)))
    assert set(everything) == set(range(9))
    assert sum(everything.values()) == 18


def test_a_silent_generator_is_an_error() -> None:
    feed, now = FakeFeed(now=FakeState(beat="the last")), [0.0]
    stream = ShardStream(feed, StreamOrder(2, 8, 0, 1), clock=lambda: now[0])
    stream.poll()
    now[0] = 61.0
    with pytest.raises(StreamLostError, match="no sign of life for 61 s"):
        stream.poll()
    feed.now = FakeState(ended=True, beat="the last")
    stream.poll()
    assert stream.ended


def test_a_generator_that_beats_lives_however_rarely_the_stream_looks() -> None:
    feed, now = FakeFeed(now=FakeState(beat="1")), [0.0]
    stream = ShardStream(feed, StreamOrder(2, 8, 0, 1), clock=lambda: now[0])
    for beat in ("1", "2", "3"):
        feed.now = FakeState(beat=beat)
        now[0] += 59.0 if beat == "1" else 3600.0
        stream.poll()
    now[0] += 61.0
    with pytest.raises(StreamLostError, match="no sign of life for 61 s"):
        stream.poll()


def test_a_dataset_replaced_while_training_is_an_error() -> None:
    feed = FakeFeed()
    stream = ShardStream(feed, StreamOrder(2, 8, 0, 1))
    feed.arrive(range(2))
    stream.poll()
    stream.next_batch()
    feed.arrive(range(5, 9), removed=True)
    with pytest.raises(StreamLostError, match="was replaced"):
        stream.poll()


def test_a_dataset_replaced_before_the_run_is_read_from_there() -> None:
    feed = FakeFeed(now=FakeState(ended=True))
    feed.arrive(range(2))
    feed.arrive(range(5, 9), removed=True)
    stream = ShardStream(feed, StreamOrder(2, 8, 0, 1))
    stream.poll()
    assert sorted(chain.from_iterable(ids(stream))) == [5, 6, 7, 8]


def test_a_cursor_of_another_plan_is_an_error() -> None:
    stream = ShardStream(full_feed(4), StreamOrder(2, 8, 0, 1), Cursor(plan="plan-b"))
    with pytest.raises(StreamLostError, match="plan-b"):
        stream.poll()


@settings(max_examples=20)
@given(orders)
def test_a_long_stream_never_overflows_its_chunks(order: StreamOrder) -> None:
    stream = ShardStream(full_feed(3), order, Cursor(chunk=500, chunk_start=1))
    stream.poll()
    assert sum(map(len, ids(stream))) > 0


def _questions(feed: FakeFeed, sizes: Sequence[int]) -> dict[int, int]:
    """Commits one question after the other; which question each row belongs to."""
    owner: dict[int, int] = {}
    for question, size in enumerate(sizes):
        rows = range(len(owner), len(owner) + size)
        owner.update(dict.fromkeys(rows, question))
        feed.arrive(rows)
    original = feed.read
    feed.read = lambda commit: FakeTable(  # type: ignore[method-assign]
        [
            {**row, "key": f"q{owner[row['id']]}", "view": "positive"}
            for row in original(commit).rows
        ]
    )
    return owner


@given(st.lists(st.integers(1, 5), min_size=1, max_size=8), st.integers(1, 4))
@settings(deadline=None)
def test_each_epoch_takes_one_row_of_each_question(sizes: list[int], batch: int) -> None:
    feed = FakeFeed(now=FakeState(ended=True))
    owner = _questions(feed, sizes)
    epochs = 3
    stream = ShardStream(feed, StreamOrder(batch, 8, 1, epochs, unit="question"))
    stream.poll()
    drawn = list(chain.from_iterable(ids(stream)))
    assert len(drawn) == epochs * len(sizes)
    assert Counter(owner[row] for row in drawn) == dict.fromkeys(range(len(sizes)), epochs)
    for question, size in enumerate(sizes):
        rows = [row for row in drawn if owner[row] == question]
        assert len(set(rows)) == min(size, epochs), "a rationale came again before the others"


def test_a_resume_takes_the_same_row_of_each_question() -> None:
    def stream(cursor: Cursor | None = None) -> ShardStream:
        feed = FakeFeed(now=FakeState(ended=True))
        _questions(feed, [3, 1, 4, 2, 5])
        made = ShardStream(feed, StreamOrder(2, 8, 1, 4, unit="question"), cursor)
        made.poll()
        return made

    undisturbed = stream()
    first = [undisturbed.next_batch() for _ in range(4)]
    assert first[-1] is not None
    rest = ids(undisturbed)
    assert ids(stream(first[-1].cursor)) == rest


def test_a_row_says_its_share_of_its_question() -> None:
    feed = FakeFeed(now=FakeState(ended=True))
    _questions(feed, [3, 1])
    stream = ShardStream(feed, StreamOrder(4, 8, 1, 1))
    stream.poll()
    batch = stream.next_batch()
    assert batch is not None
    assert {row["id"]: row[SHARE] for row in batch.rows} == {0: 1 / 3, 1: 1 / 3, 2: 1 / 3, 3: 1.0}


def paired_feed(*commits: list[dict[str, Any]]) -> FakeFeed:
    """A feed that has ended, whose commits hold these rows."""
    feed = FakeFeed(now=FakeState(ended=True))
    for number, _ in enumerate(commits):
        feed.arrive([number])
    feed.read = lambda commit: FakeTable(commits[commit.ids[0]])  # type: ignore[method-assign]
    return feed


def pair_rows(groups: Sequence[int]) -> list[dict[str, Any]]:
    """Counterfactuals first, so that their order in a pair isn't that of the file."""
    return [
        {"id": f"{variant[0]}{group}", "group": str(group), "variant": variant}
        for variant in ("counterfactual", "original")
        for group in groups
    ]


def test_a_pair_stays_together_in_a_batch_and_in_a_ranks_slice() -> None:
    feed = paired_feed(pair_rows(range(4)), pair_rows(range(4, 7)))
    stream = ShardStream(feed, StreamOrder(3, 8, 1, 2, unit="pair"))
    stream.poll()
    assert stream.remaining() == 14
    drawn: list[str] = []
    while (batch := stream.next_batch()) is not None:
        for rank in range(2):
            mine = rank_slice([row["id"] for row in batch.rows], rank, 2, 2)
            for original, counterfactual in zip(mine[::2], mine[1::2], strict=True):
                assert (original[0], counterfactual[0]) == ("o", "c")
                assert original[1:] == counterfactual[1:]
            drawn += mine
    assert sorted(drawn) == sorted(2 * [row["id"] for row in pair_rows(range(7))])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        (pair_rows([1])[:1], "1 rows with the variants counterfactual"),
        (pair_rows([1, 1]), "4 rows"),
        ([{"id": "x", "variant": "original"}], "group None"),
    ],
)
def test_a_row_without_its_other_half_is_refused(rows: list[dict[str, Any]], message: str) -> None:
    with pytest.raises(InputError, match=message):
        ShardStream(paired_feed(rows), StreamOrder(2, 8, 1, 1, unit="pair")).poll()


def config(**more: Any) -> StudentConfig:
    return StudentConfig.model_validate({"student": "s", "version": 1, "model": "m", **more})


@pytest.mark.parametrize(
    ("stream", "optim", "reuse"),
    [
        ({}, {"epochs": 3}, 1),
        ({"starved": "replay"}, {"epochs": 3}, 3),
        ({"starved": "replay"}, {"max_steps": 9}, 4),
        ({"starved": "replay", "reuse": 2}, {"epochs": 3}, 2),
        ({"starved": "replay", "reuse": 7}, {"max_steps": 9}, 7),
    ],
)
def test_how_often_a_row_is_used_while_waiting(
    stream: dict[str, Any], optim: dict[str, Any], reuse: int
) -> None:
    assert make_order(config(stream=stream, optim=optim)).reuse == reuse


def test_pairs_are_units_of_two_rows() -> None:
    order = make_order(
        config(data={"pairs": True}, optim={"batch": 8, "epochs": 2}, stream={"shuffle": 10})
    )
    assert (order.batch, order.shuffle, order.unit, order.epochs) == (4, 5, "pair", 2)
