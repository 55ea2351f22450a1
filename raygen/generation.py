"""Generation: the driver's loop, from blocks that arrive to rows that are committed.

It commits in groups, keeps the counts, feeds what may start and decides when to stop. Knows
nothing of Ray, recipes or training.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from raygen.budget import Budget, dollars_of, tokens_of
from raygen.dataset.commit import Committer
from raygen.dataset.control import stop_reason
from raygen.dataset.folder import Folder
from raygen.dataset.reader import Dataset
from raygen.dataset.status import DatasetStatus
from raygen.dataset.tables import Block, LedgerLine, Tokens, add_tokens
from raygen.engines.base import EngineSpec
from raygen.job import Task
from raygen.progress import NodeCount, Snapshot
from raygen.summary import Outcome, RejectCount
from raygen.work import Work
from raygen.worker import Live

_COMMIT_EVERY_S = 0.3
_COMMIT_EVERY_REMOTE_S = 3.0
_POLL_S = 0.5
_LOOK_EVERY_S = 1.0


class Run(Protocol):
    """A generation in progress, however it is run."""

    @property
    def done(self) -> bool: ...

    @property
    def idle(self) -> bool: ...

    @property
    def room(self) -> int: ...

    def feed(self, tasks: Sequence[Task], *, first: bool = False) -> None: ...

    def close(self) -> None: ...

    def poll(self, timeout_s: float) -> list[Block]: ...

    def live(self) -> tuple[list[Live], Fault | None]: ...

    def stop(self) -> None: ...


class Fault(Protocol):
    """Why a run can't go on."""

    @property
    def message(self) -> str: ...

    @property
    def user_fault(self) -> bool: ...


@dataclass(frozen=True, slots=True)
class Limits:
    """When a run stops by itself.

    The engines have the prices for a budget in dollars; its hours count from `began`, a monotonic
    time.
    """

    max_failed: float
    rows: int | None = None
    budget: Budget = field(default_factory=Budget)
    engines: Mapping[str, EngineSpec] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run ended; `message` says more where it didn't simply end.

    `user_fault`: the recipe or the profile must change before it can go on.
    """

    outcome: Outcome = "done"
    message: str = ""
    user_fault: bool = False


class Counts:
    """The counts of a dataset while rows are added to it; always adds up to the source."""

    def __init__(self, source: int, before: DatasetStatus | None) -> None:
        self.source = source
        self.statuses: Counter[str] = Counter()
        self.rejects: Counter[tuple[str, str]] = Counter()
        self.examples = 0
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.reused = 0
        self.saved_tokens = 0
        self.last_row_at: float | None = None
        if before is not None:
            self.recount(before)

    def recount(self, now: DatasetStatus) -> None:
        """Take over what the ledger says, after lines were taken out of it."""
        self.statuses = Counter(kept=now.kept, dropped=now.dropped, failed=now.failed)
        self.rejects = Counter({(node, reason): n for node, reason, n in now.rejects})
        self.examples = now.examples

    def add(self, lines: Sequence[LedgerLine]) -> None:
        """Count rows that were committed just now."""
        for line in lines:
            self.statuses[line.status] += 1
            self.examples += line.examples
            self.prompt_tokens += line.prompt_tokens
            self.output_tokens += line.output_tokens
            self.reused += line.reused
            self.saved_tokens += line.saved_tokens
            self.rejects.update((reject.node, reject.reason) for reject in line.rejects)
        if lines:
            self.last_row_at = time.time()

    @property
    def pending(self) -> int:
        """Source rows that have no ending yet."""
        return self.source - sum(self.statuses.values())

    @property
    def top_rejects(self) -> tuple[RejectCount, ...]:
        """How often each node dropped a row for each reason."""
        return tuple(RejectCount(node, reason, n) for (node, reason), n in self.rejects.items())


class Generation:
    """One run that is watched: what arrives is committed, and what may start is fed.

    `tick` is called several times a second with the workers' counters and answers whether the user
    asked to stop.
    """

    def __init__(
        self,
        run: Run,
        work: Work,
        committer: Committer,
        folder: Folder,
        counts: Counts,
        limits: Limits,
        tick: Callable[[Sequence[Live]], bool],
    ) -> None:
        self._run = run
        self._work = work
        self._committer = committer
        self._folder = folder
        self._counts = counts
        self._limits = limits
        self._tick = tick
        self._paid_before = committer.paid
        self._open = True
        self.unfinished = False
        """The run took all the tasks that it could, and there may be more."""

    def to_end(self) -> Ending:
        """Go on until the run is done; returns why it ended. Raises DatasetError."""
        every = _COMMIT_EVERY_S if self._folder.local is not None else _COMMIT_EVERY_REMOTE_S
        waiting: list[Block] = []
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
            asked, fault, lives = self._look()
            if ending is None:
                ending = self._ending(fault, asked, lives)
                if ending is not None:
                    self._open = False
                    self._run.stop()
        self._open = False
        self._commit(waiting + self._run.poll(0))
        lives, fault = self._run.live()
        ending = ending or self._ending(fault, False, lives) or Ending()
        complete = ending.outcome == "stopped" and self._counts.pending == 0
        return Ending() if complete else ending

    def _commit(self, blocks: Sequence[Block]) -> None:
        lines = self._committer.commit(blocks)
        self._counts.add(lines)
        self._work.add(lines)

    def _feed(self) -> None:
        """Hand out what may start; where nothing runs and nothing is left, that was all."""
        if tasks := self._work.next(self._run.room) if self._run.room else []:
            self._run.feed(tasks)
        elif self._run.idle and not self._try_again():
            self.unfinished = not self._run.room
            self._open = False
            self._run.close()

    def _try_again(self) -> bool:
        """Give the rows that failed for a passing reason their second try; whether there were any.

        They come first: whether they pass this time may decide whether the run goes on.
        """
        if not (self._open and self._work.passing and self._run.room):
            return False
        keys = self._committer.take_back(passing=True)
        dataset = Dataset(self._folder)
        self._counts.recount(dataset.status())
        files = dataset.transcript_files(self._committer.recorded)
        tasks = self._work.again(keys, files, self._run.room)
        self._run.feed(tasks, first=True)
        return bool(tasks)

    def _look(self) -> tuple[bool, Fault | None, Sequence[Live]]:
        self._committer.heartbeat()
        lives, fault = self._run.live()
        return self._tick(lives), fault, lives

    def _ending(self, fault: Fault | None, asked: bool, lives: Sequence[Live]) -> Ending | None:
        if fault is not None:
            return Ending("failed", fault.message, fault.user_fault)
        if asked:
            return Ending("interrupted", "interrupted; what was in flight is committed")
        if too_many_failed(self._counts, self._limits) and not self._try_again():
            return Ending("too_many_failed", self._failed_words())
        now = add_tokens([self._paid_before, *(live.paid for live in lives)])
        paid = max(now, self._committer.paid, key=tokens_of)
        ending = reached(self._counts, self._limits, paid)
        if ending is not None:
            return ending
        wish = stop_reason(self._folder)
        return Ending("stopped", f"stopped on request: {wish}") if wish is not None else None

    def _failed_words(self) -> str:
        return (
            f"{self._counts.statuses['failed']} of {self._counts.source} rows failed, more than "
            f"output.max_failed ({self._limits.max_failed:g}) allows; `raygen status` shows their "
            "errors"
        )


def too_many_failed(counts: Counts, limits: Limits) -> bool:
    """Whether more rows failed than may."""
    return counts.statuses["failed"] > limits.max_failed * counts.source


def reached(counts: Counts, limits: Limits, paid: Tokens) -> Ending | None:
    """The ending of a run that has all it was to make, or has used up what it may."""
    if limits.rows is not None and counts.examples >= limits.rows:
        return Ending("done", f"output.rows: {counts.examples} examples are there")
    hours = (time.monotonic() - limits.began) / 3600
    used_up = limits.budget.used_up(paid, dollars_of(paid, limits.engines), hours)
    if used_up is not None:
        return Ending(
            "stopped", f"{used_up}; what was in flight is committed, a higher one goes on"
        )
    return None


def snapshot(
    phase: str, counts: Counts, lives: Sequence[Live], nodes: Sequence[str], seconds: float
) -> Snapshot:
    """What to show of a run now."""
    totals = {name: [0, 0, 0, 0] for name in nodes}
    paid = add_tokens(live.paid for live in lives)
    for live in lives:
        for name, figures in live.nodes.items():
            totals[name] = [a + b for a, b in zip(totals[name], figures, strict=True)]
    return Snapshot(
        phase=phase,
        nodes={name: NodeCount(*figures) for name, figures in totals.items()},
        source=counts.source,
        kept=counts.statuses["kept"],
        dropped=counts.statuses["dropped"],
        failed=counts.statuses["failed"],
        pending=counts.pending,
        running=sum(live.running for live in lives),
        examples=counts.examples,
        prompt_tokens=sum(prompt for prompt, _ in paid.values()),
        output_tokens=sum(output for _, output in paid.values()),
        reused=sum(live.reused for live in lives),
        seconds=seconds,
    )


def phase_of(lives: Sequence[Live]) -> str:
    """What the workers are doing, in a word or two."""
    if not lives or all(live.phase == "starting" for live in lives):
        return "starting engines"
    repairing = next(
        (live.phase for live in lives if live.phase not in ("starting", "running")), ""
    )
    return repairing or "generating"
