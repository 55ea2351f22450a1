"""Generation: the driver's loop, from blocks that arrive to rows that are committed.

It commits in groups, keeps the counts, and decides when to stop. Knows nothing of Ray, recipes or
training.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from raygen.dataset.commit import Committer
from raygen.dataset.control import stop_reason
from raygen.dataset.folder import Folder
from raygen.dataset.status import DatasetStatus
from raygen.dataset.tables import Block, LedgerLine
from raygen.progress import NodeCount, Snapshot
from raygen.summary import Outcome, RejectCount
from raygen.worker import Live

_COMMIT_EVERY_S = 0.3
_COMMIT_EVERY_REMOTE_S = 3.0
_POLL_S = 0.5
_LOOK_EVERY_S = 1.0


class Run(Protocol):
    """A generation in progress, however it is run."""

    @property
    def done(self) -> bool: ...

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
    """When a run stops by itself."""

    max_failed: float
    rows: int | None = None


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
        self.statuses = Counter(
            {"kept": before.kept, "dropped": before.dropped, "failed": before.failed}
            if before
            else {}
        )
        self.examples = before.examples if before else 0
        self.rejects = Counter(
            {(node, reason): n for node, reason, n in before.rejects} if before else {}
        )
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.last_row_at: float | None = None

    def add(self, lines: Sequence[LedgerLine]) -> None:
        """Count rows that were committed just now."""
        for line in lines:
            self.statuses[line.status] += 1
            self.examples += line.examples
            self.prompt_tokens += line.prompt_tokens
            self.output_tokens += line.output_tokens
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


def generate(
    run: Run,
    committer: Committer,
    folder: Folder,
    counts: Counts,
    limits: Limits,
    tick: Callable[[Sequence[Live]], bool],
) -> Ending:
    """Commit what arrives until the run is done; returns why it ended.

    `tick` is called several times a second with the workers' counters and answers whether the
    user asked to stop. Raises DatasetError when a commit fails.
    """
    every = _COMMIT_EVERY_S if folder.local is not None else _COMMIT_EVERY_REMOTE_S
    waiting: list[Block] = []
    committed_at = time.monotonic()
    ending: Ending | None = None
    looked_at = float("-inf")
    while not run.done:
        waiting += run.poll(_POLL_S)
        if waiting and time.monotonic() - committed_at >= every:
            counts.add(committer.commit(waiting))
            waiting, committed_at = [], time.monotonic()
        if time.monotonic() - looked_at < _LOOK_EVERY_S:
            continue
        looked_at = time.monotonic()
        committer.heartbeat()
        lives, fault = run.live()
        asked = tick(lives)
        if ending is None:
            ending = _ending(fault, asked, stop_reason(folder), counts, limits)
            if ending is not None:
                run.stop()
    waiting += run.poll(0)
    counts.add(committer.commit(waiting))
    _, fault = run.live()
    return ending or _ending(fault, False, None, counts, limits) or Ending()


def snapshot(
    phase: str, counts: Counts, lives: Sequence[Live], nodes: Sequence[str], seconds: float
) -> Snapshot:
    """What to show of a run now."""
    totals = {name: [0, 0, 0, 0] for name in nodes}
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
        prompt_tokens=sum(live.prompt_tokens for live in lives),
        output_tokens=sum(live.output_tokens for live in lives),
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


def _ending(
    fault: Fault | None,
    asked: bool,
    wish: str | None,
    counts: Counts,
    limits: Limits,
) -> Ending | None:
    if fault is not None:
        return Ending("failed", fault.message, fault.user_fault)
    if asked:
        return Ending("interrupted", "interrupted; what was in flight is committed")
    failed = counts.statuses["failed"]
    if failed > limits.max_failed * counts.source:
        return Ending(
            "too_many_failed",
            f"{failed} of {counts.source} rows failed, more than output.max_failed "
            f"({limits.max_failed:g}) allows; `raygen status` shows their errors",
        )
    if limits.rows is not None and counts.examples >= limits.rows:
        return Ending("done", f"output.rows: {counts.examples} examples are there")
    if wish is not None:
        return Ending("stopped", f"stopped on request: {wish}")
    return None
