"""The driver's loop, from blocks that arrive to rows that are committed.

It commits in groups, keeps the counts, feeds what may start, decides when to stop, and notifies its
observer when the first rows are committed. Knows nothing of Ray, recipes, training or the display.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Protocol

from raygen.dataset import Committer, Dataset, Folder, WrittenBlock, stop_reason, sum_tokens
from raygen.runtime.budget import total_tokens
from raygen.runtime.counts import Counts
from raygen.runtime.endings import (
    Cause,
    Ending,
    StopConditions,
    limit_reached,
    nothing_answered,
    out_of_rows,
    too_many_failed,
)
from raygen.runtime.scheduler import Scheduler
from raygen.runtime.tasks import RowBlock
from raygen.runtime.worker_stats import WorkerStats

_COMMIT_EVERY_S = 0.3
_COMMIT_EVERY_REMOTE_S = 3.0
_POLL_S = 0.5
_LOOK_EVERY_S = 1.0


class GenerationRun(Protocol):
    """A generation in progress, on whatever runs it."""

    @property
    def done(self) -> bool: ...

    @property
    def idle(self) -> bool: ...

    @property
    def capacity(self) -> int: ...

    def feed(self, tasks: Sequence[RowBlock], *, first: bool = False) -> None: ...

    def close(self) -> None: ...

    def poll(self, timeout_s: float) -> list[WrittenBlock]: ...

    def stats(self) -> tuple[list[WorkerStats], RunFault | None]: ...

    def stop(self) -> None: ...


class RunFault(Protocol):
    """Why a run can't go on."""

    @property
    def message(self) -> str: ...

    @property
    def user_fault(self) -> bool: ...


class Observer(Protocol):
    """The listener of a generation, which also knows whether the user wants it to end."""

    def first_rows_committed(self) -> None:
        """Note that the first rows of this generation are committed. Called once, right then."""
        ...

    def progress(self, stats: Sequence[WorkerStats]) -> None:
        """Show what the workers have done so far; called about once a second."""
        ...

    @property
    def interrupted(self) -> bool:
        """Whether the user asked to end the run."""
        ...


class Driver:
    """Makes the rows that are left, in as many runs as they need: commits the blocks that arrive,
    and feeds what may start."""

    def __init__(
        self,
        start: Callable[[int], GenerationRun],
        work: Scheduler,
        committer: Committer,
        folder: Folder,
        counts: Counts,
        limits: StopConditions,
        observer: Observer,
    ) -> None:
        """Begin the first run.

        Args:
            start: begins a run that takes about so many tasks.
            work: which rows run next.
            committer: the started writer of the tables.
            folder: the dataset's.
            counts: those of the dataset so far.
            limits: when to stop.
            observer: is notified, and asked whether the user interrupts.
        """
        self._start = start
        self._work = work
        self._committer = committer
        self._folder = folder
        self._counts = counts
        self._limits = limits
        self._observer = observer
        self._begin()

    def to_end(self) -> Ending:
        """Make rows until none is left or something ends the run. Raises DatasetError."""
        ending = self._to_end_of_run()
        while self._unfinished and self._work.left:
            self._begin()
            ending = self._to_end_of_run()
        if ending is None or (ending.outcome == "stopped" and self._counts.pending == 0):
            return nothing_answered(self._counts, self._limits) or out_of_rows(self._work)
        return ending

    def _begin(self) -> None:
        """Start a run; what its workers will have paid comes on top of what is paid now."""
        self._run = self._start(self._work.tasks)
        self._paid_before = self._committer.paid
        self._open = True
        self._unfinished = False  # set where the run took all the tasks that it could

    def _to_end_of_run(self) -> Ending | None:
        """Go on until the run is done; return what ended it, None where it ran out of tasks."""
        every = _COMMIT_EVERY_S if self._folder.local is not None else _COMMIT_EVERY_REMOTE_S
        waiting: list[WrittenBlock] = []
        committed_at = looked_at = float("-inf")
        ending: Ending | None = None
        self._feed()
        while not self._run.done:
            waiting += self._run.poll(_POLL_S)
            now = time.monotonic()
            if (self._open and self._run.idle) or (waiting and now - committed_at >= every):
                self._commit(waiting)
                waiting, committed_at = [], now
                if self._open:
                    self._feed()
            if now - looked_at < _LOOK_EVERY_S:
                continue
            looked_at = now
            self._committer.heartbeat()
            stats, fault = self._run.stats()
            self._observer.progress(stats)
            if ending is None:
                ending = self._ending(fault, self._observer.interrupted, stats)
                if ending is not None:
                    self._open = False
                    self._run.stop()
        self._open = False
        self._commit(waiting + self._run.poll(0))
        stats, fault = self._run.stats()
        self._observer.progress(stats)
        return ending or self._ending(fault, False, stats) or self._lost()

    def _commit(self, blocks: Sequence[WrittenBlock]) -> None:
        first = self._counts.last_row_at is None
        lines = self._committer.commit(blocks)
        self._counts.add(lines)
        self._work.add(lines)
        if first and lines:
            self._observer.first_rows_committed()

    def _feed(self) -> None:
        """Feed what may start; close the run where nothing runs and nothing is left."""
        if tasks := self._work.next(self._run.capacity) if self._run.capacity else []:
            self._run.feed(tasks)
        elif self._run.idle and not self._try_again():
            self._unfinished = not self._run.capacity
            self._open = False
            self._run.close()

    def _try_again(self) -> bool:
        """Run the retryable rows once more; tell whether there were any.

        They come first: whether they pass this time may decide whether the run goes on.
        """
        if not (self._open and self._work.retryable and self._run.capacity):
            return False
        keys = self._committer.requeue_failed(retryable=True)
        dataset = Dataset(self._folder)
        self._counts.recount(dataset.status())
        files = dataset.transcript_files(self._committer.recorded)
        tasks = self._work.retry(keys, files, self._run.capacity)
        self._run.feed(tasks, first=True)
        return bool(tasks)

    def _ending(
        self, fault: RunFault | None, interrupted: bool, stats: Sequence[WorkerStats]
    ) -> Ending | None:
        if fault is not None:
            return Ending(Cause.FAULT, fault.message, fault.user_fault)
        if interrupted:
            return Ending(Cause.INTERRUPTED, "interrupted; what was in flight is committed")
        if too_many_failed(self._counts, self._limits) and not self._try_again():
            return Ending(Cause.TOO_MANY_FAILED, self._failed_words())
        now = sum_tokens([self._paid_before, *(worker.paid for worker in stats)])
        paid = max(now, self._committer.paid, key=total_tokens)
        ending = limit_reached(self._counts, self._limits, paid)
        if ending is not None:
            return ending
        wish = stop_reason(self._folder)
        if wish is not None:
            return Ending(Cause.STOP_REQUESTED, f"stopped on request: {wish}")
        return None

    def _lost(self) -> Ending | None:
        """Make the ending of a run that is over though some of its tasks never ended."""
        if self._run.idle:
            return None
        return Ending(
            Cause.FAULT,
            "Ray ended the run while rows were still under way; run the same command again, it "
            "goes on with them",
        )

    def _failed_words(self) -> str:
        return (
            f"{self._counts.statuses['failed']} of {self._counts.source} rows failed, more than "
            f"output.max_failed ({self._limits.max_failed:g}) allows; `raygen status` shows their "
            "errors"
        )
