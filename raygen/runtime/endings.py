"""When a run ends by itself, what else can end it, and what the summary and the ledger say then.

Knows counts, limits and causes; knows nothing of how a run goes.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Literal

from raygen.dataset import Reason, Tokens
from raygen.engines import EngineSpec
from raygen.runtime.budget import Budget, total_dollars
from raygen.runtime.counts import Counts
from raygen.runtime.scheduler import Scheduler

Outcome = Literal["done", "stopped", "interrupted", "too_many_failed", "failed"]


class Cause(Enum):
    """What ended a run."""

    OUT_OF_ROWS = "every row that could run has run"
    ENOUGH_EXAMPLES = "output.rows is reached"
    ENOUGH_OF_EACH_CLASS = "output.pairs is reached"
    SHORT_OF_A_CLASS = "the source has too few rows for output.pairs"
    BUDGET_USED_UP = "the budget is used up"
    STOP_REQUESTED = "somebody asked the dataset to stop, as a trainer on a plateau does"
    INTERRUPTED = "the user pressed Ctrl-C"
    NOTHING_ANSWERED = "every row ended without an answer of an engine"
    TOO_MANY_FAILED = "more rows failed than output.max_failed allows"
    FAULT = "the run can't go on"


_OUTCOMES: Mapping[Cause, Outcome] = {
    Cause.OUT_OF_ROWS: "done",
    Cause.ENOUGH_EXAMPLES: "done",
    Cause.ENOUGH_OF_EACH_CLASS: "done",
    Cause.SHORT_OF_A_CLASS: "stopped",
    Cause.BUDGET_USED_UP: "stopped",
    Cause.STOP_REQUESTED: "stopped",
    Cause.INTERRUPTED: "interrupted",
    Cause.NOTHING_ANSWERED: "failed",
    Cause.TOO_MANY_FAILED: "too_many_failed",
    Cause.FAULT: "failed",
}

_REASONS: Mapping[Outcome, Reason] = {
    "done": "end",
    "stopped": "stopped",
    "interrupted": "stopped",
    "too_many_failed": "failed",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a run ended; `message` is for people, empty where every row has run.

    `user_fault`: the recipe or the profile must change before it can go on.
    """

    cause: Cause
    message: str = ""
    user_fault: bool = False

    @property
    def outcome(self) -> Outcome:
        """The ending as the summary names it."""
        return _OUTCOMES[self.cause]

    @property
    def reason(self) -> Reason:
        """The ending as the ledger records the end of the stream."""
        return _REASONS[self.outcome]


def out_of_rows(work: Scheduler) -> Ending:
    """Make the ending of a run with nothing left: all rows ran, or a quota is reached or short."""
    if work.shortage:
        return Ending(Cause.SHORT_OF_A_CLASS, work.shortage)
    if work.reached:
        return Ending(Cause.ENOUGH_OF_EACH_CLASS, work.reached)
    return Ending(Cause.OUT_OF_ROWS)


@dataclass(frozen=True, slots=True)
class StopConditions:
    """When a run stops by itself.

    `max_failed` is the share of source rows that may fail, `rows` the number of examples that are
    enough. The engines have the prices for a budget in dollars; its hours count from `began`, a
    monotonic time in seconds.
    """

    max_failed: float
    rows: int | None = None
    budget: Budget = field(default_factory=Budget)
    engines: Mapping[str, EngineSpec] = field(default_factory=dict)
    began: float = field(default_factory=time.monotonic)


_REFUSALS = frozenset({"prompt_too_long", "refused"})
"""Reasons of rejects for which an engine wasn't asked, or refused to answer."""


def nothing_answered(counts: Counts, limits: StopConditions) -> Ending | None:
    """Make the ending of a run in which no engine answered anything; None of any other."""
    rejects = {name: n for (_, name), n in counts.rejects.items() if n}
    failed = counts.statuses["failed"]
    others = counts.calls or counts.statuses["kept"] or not _REFUSALS.issuperset(rejects)
    if others or not limits.engines or not (failed or rejects):
        return None
    words = [f"{name} {n}" for name, n in rejects.items()]
    words += [f"failed {failed}"] if failed else []
    return Ending(
        Cause.NOTHING_ANSWERED,
        f"no request was answered ({', '.join(words)}); `raygen status` shows the errors, and "
        "`--retry failed` runs the failed rows again",
    )


def too_many_failed(counts: Counts, limits: StopConditions) -> bool:
    """Tell whether more rows failed than may."""
    return counts.statuses["failed"] > limits.max_failed * counts.source


def limit_reached(counts: Counts, limits: StopConditions, paid: Tokens) -> Ending | None:
    """Make the ending of a run that has its examples, or has used up its budget; else None."""
    if limits.rows is not None and counts.examples >= limits.rows:
        return Ending(Cause.ENOUGH_EXAMPLES, f"output.rows: {counts.examples} examples are there")
    hours = (time.monotonic() - limits.began) / 3600
    used_up = limits.budget.used_up(paid, total_dollars(paid, limits.engines), hours)
    if used_up is not None:
        return Ending(
            Cause.BUDGET_USED_UP,
            f"{used_up}; what was in flight is committed, a higher one goes on",
        )
    return None
