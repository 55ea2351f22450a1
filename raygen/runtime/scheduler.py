"""Schedule source rows: which run next, and which are worth another try.

Knows ordinals, keys and what became of rows; knows nothing of Ray, engines or files.
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Collection, Iterable, Mapping, Sequence
from math import ceil
from typing import Protocol

from raygen.core import Status
from raygen.dataset import LedgerLine, TranscriptFile
from raygen.runtime.tasks import RowBlock, split_into_blocks

Files = Mapping[str, tuple[TranscriptFile, ...]]
"""The transcript files with a row's recorded calls, newest first, by the row's key."""

_STEPS = 16
_MOST_TASKS = 4000


class Scheduler(Protocol):
    """The rows that are left to a run."""

    retryable: set[str]
    """The keys of the rows that failed for a reason that may pass and weren't tried again."""

    def next(self, capacity: int) -> list[RowBlock]:
        """Next tasks to run, at most `capacity`; empty when none is ready or none is left."""
        ...

    def add(self, lines: Iterable[LedgerLine]) -> None:
        """Take note of rows that were committed just now."""
        ...

    def retry(self, keys: Collection[str], files: Files, capacity: int) -> list[RowBlock]:
        """Make tasks of rows whose lines were taken out of the ledger, to run once more."""
        ...

    @property
    def left(self) -> bool:
        """Whether there is anything to run."""
        ...

    @property
    def tasks(self) -> int:
        """How many tasks there may be, without retries."""
        ...

    @property
    def reached(self) -> str:
        """Which quota is reached though rows are left, for people; empty where none is."""
        ...

    @property
    def shortage(self) -> str:
        """Which quota isn't reached though no row is left, for people; empty where none."""
        ...


class _Rows:
    """What every scheduler knows of the source: keys, actors, recorded calls."""

    def __init__(self, keys: Sequence[str], files: Files, actors: int) -> None:
        self._keys = keys
        self._files = files
        self._actors = actors
        self.retryable: set[str] = set()

    def retry(self, keys: Collection[str], files: Files, capacity: int) -> list[RowBlock]:
        """Make tasks of rows whose lines were taken out of the ledger, to run once more."""
        self.retryable -= set(keys)
        ordinals = [ordinal for ordinal, key in enumerate(self._keys) if key in keys]
        by_ordinal = {}
        for ordinal in ordinals:
            key = self._keys[ordinal]
            others = tuple(file for file in self._files.get(key, ()) if file.dataset)
            by_ordinal[ordinal] = (*files.get(key, ()), *others)
        return split_into_blocks(ordinals, self._actors, by_ordinal, most=capacity, retry=True)

    def _tasks(self, ordinals: Sequence[int], most: int) -> list[RowBlock]:
        files = {ordinal: self._files.get(self._keys[ordinal], ()) for ordinal in ordinals}
        return split_into_blocks(ordinals, self._actors, files, most=most)

    def _note_retryable(self, lines: Iterable[LedgerLine]) -> None:
        self.retryable |= {line.key for line in lines if line.retryable}


class AllRows(_Rows):
    """Every row that is pending, at once."""

    reached = shortage = ""

    def __init__(
        self, keys: Sequence[str], done: Collection[str], files: Files, actors: int
    ) -> None:
        super().__init__(keys, files, actors)
        self._pending = [ordinal for ordinal, key in enumerate(keys) if key not in done]

    @property
    def left(self) -> bool:
        """Whether there is anything to run."""
        return bool(self._pending or self.retryable)

    @property
    def tasks(self) -> int:
        """How many tasks all pending rows make."""
        return len(split_into_blocks(range(len(self._pending)), self._actors))

    def next(self, capacity: int) -> list[RowBlock]:
        """Return all pending rows the first time, then none."""
        pending, self._pending = self._pending, []
        return self._tasks(pending, capacity)

    def add(self, lines: Iterable[LedgerLine]) -> None:
        """Note which rows are worth another try."""
        self._note_retryable(lines)


class ClassQuota(_Rows):
    """Rows until so many of each class are kept, each class in the order of the source.

    A row starts only when it is needed even if all that run are kept. So whatever the order in
    which rows end, those that are kept are the first of their class that can be, and a killed run
    goes on to the same set. A retryable row still counts as running until its second try.
    """

    def __init__(
        self,
        rows: Sequence[tuple[str, str | None]],
        classes: Sequence[str],
        quota: int,
        files: Files,
        actors: int,
    ) -> None:
        """`rows` are the keys and classes of all source rows, in order; one that doesn't fit its
        task has no class and is run, to be dropped, with the first that are."""
        super().__init__([key for key, _ in rows], files, actors)
        self._class = dict(rows)
        self._classes = tuple(classes)
        self._quota = quota
        self._pool: dict[str | None, deque[int]] = defaultdict(deque)
        self._kept: Counter[str] = Counter()
        self._running: set[str] = set()

    def resume(self, done: Mapping[str, Status], retryable: Collection[str]) -> None:
        """Take over what earlier runs did; `retryable` rows are among those that are done."""
        for ordinal, key in enumerate(self._keys):
            if key not in done:
                self._pool[self._class[key]].append(ordinal)
            elif done[key] == "kept" and (name := self._class[key]) is not None:
                self._kept[name] += 1
            elif key in retryable:
                self._running.add(key)

    @property
    def tasks(self) -> int:
        """One task per pending row, up to a limit."""
        return min(_MOST_TASKS, sum(map(len, self._pool.values())))

    def next(self, capacity: int) -> list[RowBlock]:
        """Return the next rows of each class that still needs some."""
        ready = self._ready()
        # Not one by one: each task is a block of its own, unless nothing else runs.
        if not self._enough(sum(ready.values())):
            return []
        ordinals = sorted(
            self._pool[name].popleft() for name, count in ready.items() for _ in range(count)
        )
        self._running |= {self._keys[ordinal] for ordinal in ordinals}
        return self._tasks(ordinals, capacity)

    def add(self, lines: Iterable[LedgerLine]) -> None:
        """Count the kept rows; the others no longer count as running."""
        for line in lines:
            if not line.retryable:
                self._running.discard(line.key)
            name = self._class.get(line.key)
            if line.status == "kept" and name is not None:
                self._kept[name] += 1
            if line.retryable:
                self.retryable.add(line.key)

    @property
    def left(self) -> bool:
        """Whether there is anything to run."""
        return bool(self.retryable or any(self._ready().values()))

    @property
    def reached(self) -> str:
        """The quota, which every class has reached."""
        return f"output.pairs: {self._quota} rows of each class are kept"

    @property
    def shortage(self) -> str:
        """The classes that have fewer than the quota."""
        short = [name for name in self._classes if self._kept[name] < self._quota]
        if not short:
            return ""
        have = ", ".join(f"{name}: {self._kept[name]}" for name in short)
        return (
            f"output.pairs asks for {self._quota} rows of each class and the source has no more: "
            f"{have}; add rows to the source, or ask for fewer"
        )

    def _ready(self) -> dict[str | None, int]:
        """Count the rows of each class that are needed even if all that run are kept."""
        running = Counter(self._class[key] for key in self._running)
        missing = {name: self._quota - self._kept[name] - running[name] for name in self._classes}
        ready: dict[str | None, int] = {
            name: min(n, len(self._pool[name])) for name, n in missing.items() if n > 0
        }
        return ready | {None: len(self._pool[None])}

    def _enough(self, ready: int) -> bool:
        running = len(self._running - self.retryable)
        return ready > 0 and (running == 0 or ready >= ceil(running / _STEPS))
