"""ShardStream: the rows of a growing dataset as global batches, in an order that can be repeated.

    commit order   0 1 | 2 3 4 5 | 6 7 8 9 10 11 12 13 | 14 15 ...      batch 2, shuffle 8
    chunks           0      1               2               3
    drawn, seed 0  0 1 | 5 4 3 2 | 8 12 9 11 7 13 10 6

Units (rows, questions or pairs) come in commit order, cut into consecutive chunks and shuffled
inside each by (seed, chunk number). The first chunk is one batch, so that the first step needs one
batch of rows only; each next one doubles, up to `shuffle`. A chunk is opened once all of its units
are there, or the stream has ended and no more will come.

When fresh units are used up, passes replay known ones: after the end all of them, once per epoch;
before it, with `reuse` above 1, those used so far. A pass is shuffled by (seed, pass number). So
the next rows follow from the cursor, from how many units are known and from whether the end is
known, never from ranks or processes.

Knows nothing of torch, Ray, tokens or where the rows are kept.
"""

from __future__ import annotations

import random
import time
from bisect import bisect_right
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, Protocol, TypeVar

from streamtrain.config import StudentConfig
from streamtrain.data.cursor import Cursor, Decision
from streamtrain.data.epoch_units import PAIR, SHARE, EpochUnits, Unit
from streamtrain.errors import StreamLostError

HEARTBEAT_LIMIT_S = 60.0
"""Seconds without a heartbeat after which the generator is taken for dead."""

REUSE = 4
"""Uses of a row before the dataset has ended, if the file sets neither `reuse` nor epochs."""

Row = Mapping[str, Any]
Item = TypeVar("Item")


class RowTable(Protocol):
    """Rows by number; pyarrow.Table is one."""

    @property
    def num_rows(self) -> int: ...
    def take(self, indices: list[int]) -> RowTable: ...
    def slice(self, offset: int, length: int) -> RowTable: ...
    def to_pylist(self) -> list[dict[str, Any]]: ...


class FeedCommit(Protocol):
    """One version of the dataset; `removed` if it took rows out."""

    @property
    def removed(self) -> bool: ...


class FeedState(Protocol):
    """Whether more rows will come. `beat` changes while the generator lives; None before any."""

    @property
    def ended(self) -> bool: ...
    @property
    def plan_hash(self) -> str | None: ...
    @property
    def beat(self) -> str | None: ...


class Feed(Protocol):
    """A dataset that grows; raygen.dataset.Follower is one."""

    def poll(self) -> Sequence[Any]:
        """Return the commits since the last call, oldest first."""
        ...

    def read(self, commit: Any) -> Any:
        """Read the rows of a commit, always in the same order, as a RowTable."""
        ...

    def state(self) -> FeedState:
        """Read whether the generator has ended, and whether it lives."""
        ...


@dataclass(frozen=True, slots=True)
class StreamOrder:
    """What determines the order of rows; `batch` and `shuffle` count units.

    With `epochs` None the caller decides when to stop.
    """

    batch: int
    shuffle: int
    seed: int
    epochs: int | None
    reuse: int = 1
    """Maximum uses of a unit before the stream has ended; 1: wait for fresh ones."""
    unit: Unit = "row"
    """A question gives one row per pass, a different one each time; a pair gives both of its rows.
    """


def make_order(config: StudentConfig) -> StreamOrder:
    """Derive the order of rows from a student's configuration."""
    data, stream = config.data, config.stream
    unit: Unit = "row"
    if data.pairs:
        unit = "pair"
    elif data.rationales.per_question == "one":
        unit = "question"
    rows = len(PAIR) if data.pairs else 1
    return StreamOrder(
        config.optim.batch // rows,
        max(1, stream.shuffle // rows),
        stream.seed,
        config.epochs,
        (stream.reuse or config.epochs or REUSE) if stream.starved == "replay" else 1,
        unit,
    )


@dataclass(frozen=True, slots=True)
class GlobalBatch:
    """The next rows of all ranks together, and the cursor after them."""

    rows: tuple[dict[str, Any], ...]
    cursor: Cursor
    epoch: float
    """Units used so far over units known so far."""


def rank_slice(items: Sequence[Item], rank: int, size: int, unit: int = 1) -> Sequence[Item]:
    """Return the part of a global batch that belongs to `rank`, counted from 0.

    The parts of `size` ranks lie end to end in `items`, and every `unit` consecutive items stay
    together.
    """
    units = len(items) // unit
    return items[rank * units // size * unit : (rank + 1) * units // size * unit]


class Rows:
    """Tables laid end to end and addressed by row number, kept as they were read."""

    def __init__(self) -> None:
        self._tables: list[RowTable] = []
        self._starts: list[int] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, Any]:
        at = bisect_right(self._starts, number) - 1
        return self._tables[at].slice(number - self._starts[at], 1).to_pylist()[0]

    def append(self, table: RowTable) -> None:
        self._tables.append(table)
        self._starts.append(self._length)
        self._length += table.num_rows


class ShardStream:
    """Draws global batches from a feed. Not thread-safe."""

    def __init__(
        self,
        feed: Feed,
        order: StreamOrder,
        cursor: Cursor | None = None,
        refusal: Callable[[Row], str | None] = lambda row: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Stream the rows of `feed` in an `order`, from `cursor` on (default: the beginning).

        Rows for which `refusal` returns a reason are left out, and counted by it in `left_out`; it
        may raise to refuse the run. `clock` gives seconds.
        """
        self.order = order
        self.cursor = cursor or Cursor()
        self.ended = False
        self._feed = feed
        self._refusal = refusal
        self.left_out = Counter[str]()
        self._clock = clock
        self._beat: str | None = None
        self._heard = clock()
        self._rows = Rows()
        self._units = EpochUnits(order.unit, order.seed)
        self._decision: Decision | None = None
        self._drawn = False
        self._permutations: dict[str, tuple[int, int, list[int]]] = {}

    def __len__(self) -> int:
        return len(self._units) if self._decision is None else self._decision.known

    @contextmanager
    def as_of(self, decision: Decision) -> Iterator[None]:
        """Show the stream as it was when an earlier process took a step.

        A context manager: no more units than were known then, and an end only if it was known.
        """
        ended = self.ended
        self._decision, self.ended = decision, decision.ended
        try:
            yield
        finally:
            self._decision, self.ended = None, ended

    def poll(self) -> bool:
        """Read the commits since the last call; returns whether anything changed.

        Raises StreamLostError if the dataset was replaced or its generator seems dead.
        """
        state = self._feed.state()
        before = len(self), self.ended
        commits = list(self._feed.poll())
        self._check_plan(state.plan_hash)
        for commit in commits[self._forget_replaced(commits) :]:
            self._read(self._feed.read(commit), state.plan_hash)
        # The state was read first, so an end in it means that every commit was seen.
        self.ended = state.ended
        silence = self._silence(state.beat)
        if not self.ended and silence > HEARTBEAT_LIMIT_S:
            raise StreamLostError(
                f"the generator gave no sign of life for {silence:.0f} s and the dataset has no "
                "end; run `raygen apply` again, then this command with --resume"
            )
        return before != (len(self), self.ended)

    def _silence(self, beat: str | None) -> float:
        """Measure the seconds since the heartbeat changed, by our own clock alone: the generator's
        may be on another machine, and may be set."""
        now = self._clock()
        if beat is None or beat != self._beat:
            self._beat, self._heard = beat, now
        return now - self._heard

    @property
    def finished(self) -> bool:
        """Whether the stream has ended and every epoch is done."""
        return self.ended and self._fresh_left(self.cursor) == 0 and not self._replay_left()

    def remaining(self) -> int | None:
        """Count the units that are still to come, replays included; None while that is unknown."""
        if not self.ended or self.order.epochs is None:
            return None
        return max(self._fresh_left(self.cursor), self._budget() - self.cursor.used, 0)

    def next_batch(self) -> GlobalBatch | None:
        """Draw the next global batch; None if it isn't there yet or the stream is finished.

        Only the last batch of a finished stream may be smaller than `order.batch`.
        """
        cursor, picked = self.cursor, list[tuple[int, ...]]()
        while len(picked) < self.order.batch:
            cursor, unit = self._draw(cursor)
            if unit is None:
                break
            picked.append(unit)
        complete = len(picked) == self.order.batch
        if not picked or not (complete or self.ended):
            return None
        self.cursor, self._drawn = cursor, True
        rows = tuple(
            {**self._rows[n], SHARE: self._units.share(n)} for unit in picked for n in unit
        )
        return GlobalBatch(rows, cursor, cursor.used / max(1, len(self)))

    def _draw(self, at: Cursor) -> tuple[Cursor, tuple[int, ...] | None]:
        """Draw the next unit, if it is there; returns the cursor after it and its row numbers."""
        if at.chunk_taken == at.chunk_size:
            at = self._open_chunk(at)
        if at.chunk_taken < at.chunk_size:
            unit_index = self._permuted("chunk", at.chunk, at.chunk_size, at.chunk_taken)
            row = self._units.pick(at.chunk_start + unit_index, 0)
            return replace(at, chunk_taken=at.chunk_taken + 1), row
        if not self._may_replay(at):
            return at, None
        if at.pass_taken == at.pass_size:
            at = replace(
                at, replay_pass=at.replay_pass + 1, pass_size=self._replayable(at), pass_taken=0
            )
        unit_index = self._permuted("pass", at.replay_pass, at.pass_size, at.pass_taken)
        row = self._units.pick(unit_index, at.replay_pass + 1)
        return replace(at, pass_taken=at.pass_taken + 1, replayed=at.replayed + 1), row

    def _open_chunk(self, at: Cursor) -> Cursor:
        """Open the next chunk once it is complete or no more will come; otherwise return `at`."""
        batch = self.order.batch
        limit = max(batch, self.order.shuffle // batch * batch)
        # Shifting by the chunk's number alone would overflow long before the limit matters.
        size = min(batch << min(at.chunk + 1, 40), limit)
        start = at.chunk_start + at.chunk_size
        there = len(self) - start
        if there <= 0 or (there < size and not self.ended):
            return at
        return replace(
            at, chunk=at.chunk + 1, chunk_start=start, chunk_size=min(size, there), chunk_taken=0
        )

    def _may_replay(self, at: Cursor) -> bool:
        if len(self) == 0:
            return False
        if self.ended:
            return self.order.epochs is None or at.used < self._budget()
        return at.replayed < at.fresh * (self.order.reuse - 1)

    def _replayable(self, at: Cursor) -> int:
        return len(self) if self.ended else at.fresh

    def _replay_left(self) -> bool:
        if self.order.epochs is None:
            return len(self) > 0
        return self.cursor.used < self._budget()

    def _budget(self) -> int:
        return (self.order.epochs or 0) * len(self)

    def _fresh_left(self, at: Cursor) -> int:
        return len(self) - at.fresh

    def _permuted(self, kind: str, number: int, size: int, index: int) -> int:
        known = self._permutations.get(kind)
        if known is None or known[:2] != (number, size):
            order = list(range(size))
            random.Random(f"{self.order.seed}:{kind}:{number}").shuffle(order)
            known = self._permutations[kind] = (number, size, order)
        return known[2][index]

    def _read(self, table: RowTable, plan: str | None) -> None:
        """Append the rows of the present plan; those of an older one are about to be removed."""
        rows = table.to_pylist()
        accepted = []
        for number, row in enumerate(rows):
            if row.get("plan", plan) != plan:
                continue
            reason = self._refusal(row)
            if reason is None:
                accepted.append(number)
            else:
                self.left_out[reason] += 1
        if accepted:
            self._units.append(len(self._rows), [rows[number] for number in accepted])
            self._rows.append(table if len(accepted) == len(rows) else table.take(accepted))

    def _forget_replaced(self, commits: Sequence[FeedCommit]) -> int:
        """Drop rows that a commit removed; returns the index of the present plan's first commit."""
        removals = [index for index, commit in enumerate(commits) if commit.removed]
        if not removals:
            return 0
        if self._drawn:
            raise StreamLostError(
                "the dataset was replaced while this student trained on it; "
                "start a new run in another output folder"
            )
        self._rows = Rows()
        self._units = EpochUnits(self.order.unit, self.order.seed)
        self.left_out.clear()
        return removals[-1]

    def _check_plan(self, plan: str | None) -> None:
        if plan is None:
            return
        if self.cursor.plan is None:
            self.cursor = replace(self.cursor, plan=plan)
        elif self.cursor.plan != plan:
            raise StreamLostError(
                f"the dataset's plan is {plan}, and this student trains on plan "
                f"{self.cursor.plan}; start a new run in another output folder"
            )
