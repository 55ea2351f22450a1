"""Count what became of a dataset's rows while a run adds to it, and take snapshots to show.

Knows nothing of where rows come from or of how a snapshot is shown.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from raygen.dataset import DatasetStatus, LedgerLine, sum_tokens
from raygen.runtime.worker_stats import WorkerStats


@dataclass(frozen=True, slots=True)
class NodeCount:
    """The traffic of one node: rows in, rows kept and dropped, engine calls."""

    rows_in: int = 0
    kept: int = 0
    dropped: int = 0
    calls: int = 0


@dataclass(frozen=True, slots=True)
class Snapshot:
    """A run at one moment.

    `source`, `kept`, `dropped`, `failed` and `pending` count source rows of the whole dataset, so
    kept + dropped + failed + pending = source; `running` are those of the pending that have
    started. `examples` counts the whole dataset's; nodes, tokens, `reused` calls and `seconds` are
    this run's.
    """

    phase: str = "starting"
    nodes: Mapping[str, NodeCount] = field(default_factory=dict)
    source: int = 0
    kept: int = 0
    dropped: int = 0
    failed: int = 0
    pending: int = 0
    running: int = 0
    examples: int = 0
    prompt_tokens: int = 0
    output_tokens: int = 0
    reused: int = 0
    seconds: float = 0.0
    log: str = ""

    @property
    def done(self) -> int:
        """Source rows that have ended, whatever their status."""
        return self.kept + self.dropped + self.failed


@dataclass(frozen=True, slots=True)
class RejectCount:
    """How many rows one node dropped for one reason."""

    node: str
    reason: str
    count: int


class Counts:
    """The counts of a dataset while rows are added; they always add up to the source."""

    def __init__(self, source: int, before: DatasetStatus | None) -> None:
        self.source = source
        self.statuses: Counter[str] = Counter()
        self.rejects: Counter[tuple[str, str]] = Counter()
        self.examples = 0
        self.calls = 0
        self.prompt_tokens = 0
        self.output_tokens = 0
        self.reused = 0
        self.saved_tokens = 0
        self.last_row_at: float | None = None
        if before is not None:
            self.recount(before)

    def recount(self, now: DatasetStatus) -> None:
        """Replace the counts by the ledger's, after lines were taken out of it."""
        self.statuses = Counter(kept=now.kept, dropped=now.dropped, failed=now.failed)
        self.rejects = Counter({(node, reason): n for node, reason, n in now.rejects})
        self.examples = now.examples

    def add(self, lines: Sequence[LedgerLine]) -> None:
        """Count rows that were committed just now."""
        for line in lines:
            self.statuses[line.status] += 1
            self.examples += line.examples
            self.calls += line.calls
            self.prompt_tokens += line.prompt_tokens
            self.output_tokens += line.output_tokens
            self.reused += line.reused
            self.saved_tokens += line.saved_tokens
            self.rejects.update((reject.node, reject.reason) for reject in line.rejects)
        if lines:
            self.last_row_at = time.time()

    @property
    def pending(self) -> int:
        """Source rows that have not ended."""
        return self.source - sum(self.statuses.values())

    @property
    def top_rejects(self) -> tuple[RejectCount, ...]:
        """How often each node dropped a row for each reason."""
        return tuple(RejectCount(node, reason, n) for (node, reason), n in self.rejects.items())


def snapshot(
    phase: str, counts: Counts, stats: Sequence[WorkerStats], nodes: Sequence[str], seconds: float
) -> Snapshot:
    """Take a snapshot of a run.

    Args:
        phase: what it does, in a word or two.
        counts: those of the dataset.
        stats: those of this run's workers.
        nodes: the names of the plan's nodes, in order.
        seconds: the run's time so far.
    """
    totals = {name: [0, 0, 0, 0] for name in nodes}
    paid = sum_tokens(worker.paid for worker in stats)
    for worker in stats:
        for name, figures in worker.nodes.items():
            totals[name] = [a + b for a, b in zip(totals[name], figures, strict=True)]
    return Snapshot(
        phase=phase,
        nodes={name: NodeCount(*figures) for name, figures in totals.items()},
        source=counts.source,
        kept=counts.statuses["kept"],
        dropped=counts.statuses["dropped"],
        failed=counts.statuses["failed"],
        pending=counts.pending,
        running=sum(worker.running for worker in stats),
        examples=counts.examples,
        prompt_tokens=sum(prompt for prompt, _ in paid.values()),
        output_tokens=sum(output for _, output in paid.values()),
        reused=sum(worker.reused for worker in stats),
        seconds=seconds,
    )


def phase_of(stats: Sequence[WorkerStats]) -> str:
    """Say what the workers are doing, in a word or two."""
    if not stats or all(worker.phase == "starting" for worker in stats):
        return "starting engines"
    repairing = next(
        (worker.phase for worker in stats if worker.phase not in ("starting", "running")), ""
    )
    return repairing or "generating"
