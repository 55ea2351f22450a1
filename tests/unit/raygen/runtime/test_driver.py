"""The driver's loop: what it commits, when it stops, and that the counts always add up."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from raygen.core.row import Status
from raygen.dataset.commit import Committer
from raygen.dataset.control_files import request_stop
from raygen.dataset.reader import Dataset
from raygen.dataset.records import RejectedRow, RowResult, WrittenBlock
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.engines.base import EngineSpec
from raygen.runtime.budget import Budget
from raygen.runtime.counts import Counts, phase_of, snapshot
from raygen.runtime.driver import Driver
from raygen.runtime.endings import Cause, Ending, StopConditions
from raygen.runtime.scheduler import AllRows, ClassQuota, Scheduler
from raygen.runtime.tasks import RowBlock
from raygen.runtime.worker_stats import WorkerStats

COLUMNS = {"text": "string"}


@dataclass(frozen=True)
class Trouble:
    """A fault as a run reports it."""

    message: str
    user_fault: bool = False


@dataclass
class FakeRun:
    """A run that hands out prepared groups of blocks; after `stop` no more, as the real one."""

    groups: list[list[WrittenBlock]]
    fault: Trouble | None = None
    stops: int = 0
    workers: list[WorkerStats] = field(default_factory=list)
    capacity: int = 100
    closed: bool = False
    fed: list[RowBlock] = field(default_factory=list)
    answer: Callable[[RowBlock], list[list[WrittenBlock]]] = lambda task: []
    lost: int = 0

    @property
    def done(self) -> bool:
        over = self.closed or bool(self.stops) or bool(self.lost) or not self.capacity
        return not self.groups and over

    @property
    def idle(self) -> bool:
        return not self.groups and not self.lost

    def feed(self, tasks: Sequence[RowBlock], *, first: bool = False) -> None:
        """Remembers the tasks; what `answer` makes of them comes next."""
        self.capacity -= len(tasks)
        self.fed += tasks
        self.groups += [group for task in tasks for group in self.answer(task)]

    def close(self) -> None:
        self.closed = True

    def poll(self, timeout_s: float) -> list[WrittenBlock]:
        return self.groups.pop(0) if self.groups else []

    def stats(self) -> tuple[list[WorkerStats], Trouble | None]:
        return self.workers, self.fault

    def stop(self) -> None:
        self.stops += 1
        self.groups = []


class Watching:
    """Fake: an observer who remembers what happened, and may ask to stop at some look."""

    def __init__(self, asked: Sequence[bool] = ()) -> None:
        self._asked = iter(asked)
        self.happened: list[str] = []

    def first_rows_committed(self) -> None:
        self.happened.append("first rows")

    def progress(self, stats: Sequence[WorkerStats]) -> None:
        if self.happened[-1:] != ["progress"]:
            self.happened.append("progress")

    @property
    def interrupted(self) -> bool:
        return next(self._asked, False)


@dataclass(frozen=True)
class Place:
    """An open dataset of some source rows."""

    folder: Folder
    committer: Committer
    counts: Counts

    def blocks(
        self, *statuses: Status, start: int = 0, retryable: bool = False
    ) -> list[WrittenBlock]:
        """One block for each row."""
        return [
            write_block(self.folder, [result(start + i, s, retryable)], "plan", COLUMNS)  # type: ignore[arg-type]
            for i, s in enumerate(statuses)
        ]

    def generate(
        self, run: FakeRun, limits: StopConditions | None = None, asked: Sequence[bool] = ()
    ) -> Ending:
        """The loop, with the user asking to stop at some look."""
        return self.generation(run, limits, Watching(asked)).to_end()

    def generation(
        self,
        run: FakeRun,
        limits: StopConditions | None = None,
        watching: Watching | None = None,
        work: Scheduler | None = None,
        later: Sequence[FakeRun] = (),
    ) -> Driver:
        """The loop before it starts; `later` runs follow where one can't take all."""
        runs = iter([run, *later])
        return Driver(
            lambda tasks: next(runs),
            work or AllRows([f"key{i}" for i in range(10)], {}, {}, 1),
            self.committer,
            self.folder,
            self.counts,
            limits or StopConditions(max_failed=1.0),
            watching or Watching(),
        )


def result(number: int, status: Status, retryable: bool = False) -> RowResult:
    return RowResult(
        key=f"key{number}",
        status=status,
        examples=({"id": f"id{number}", "node": "n", "text": "t"},) if status == "kept" else (),
        rejects=(RejectedRow("n", "why", ""),) if status == "dropped" else (),
        calls=(),
        error="broke" if status == "failed" else None,
        seconds=0.1,
        node_counts={"n": (1, int(status == "kept"), int(status == "dropped"))},
        retryable=retryable,
    )


@pytest.fixture
def place(tmp_path: Path) -> Place:
    folder = Folder.at(tmp_path)
    committer = Committer(folder, "plan", COLUMNS, "run")  # type: ignore[arg-type]
    committer.start({"source": 10})
    return Place(folder, committer, Counts(10, None))


def test_everything_that_arrives_is_committed_and_counted(place: Place) -> None:
    run = FakeRun([place.blocks("kept", "dropped"), [], place.blocks("failed", start=2)])
    assert place.generate(run) == Ending(Cause.OUT_OF_ROWS)
    counts = place.counts
    assert (counts.statuses["kept"], counts.statuses["dropped"], counts.statuses["failed"]) == (
        1,
        1,
        1,
    )
    assert counts.pending == 7
    assert counts.examples == 1
    status = Dataset(place.folder).status()
    assert (status.kept, status.dropped, status.failed, status.pending) == (1, 1, 1, 7)
    assert [(r.node, r.reason, r.count) for r in counts.top_rejects] == [("n", "why", 1)]


def test_a_fault_ends_the_run_and_what_arrived_stays(place: Place) -> None:
    run = FakeRun([place.blocks("kept"), []], fault=Trouble("no such model", user_fault=True))
    assert place.generate(run) == Ending(Cause.FAULT, "no such model", user_fault=True)
    assert run.stops == 1
    assert Dataset(place.folder).status().kept == 1


def test_too_many_failed_rows_end_the_run(place: Place) -> None:
    run = FakeRun([place.blocks("failed", "failed"), place.blocks("kept", start=2)])
    ending = place.generate(run, StopConditions(max_failed=0.1))
    assert ending.outcome == "too_many_failed"
    assert "2 of 10 rows failed" in ending.message


def test_as_many_failed_rows_as_allowed_are_fine(place: Place) -> None:
    run = FakeRun([place.blocks("failed", "kept")])
    assert place.generate(run, StopConditions(max_failed=0.1)).outcome == "done"


@pytest.mark.parametrize(
    ("statuses", "reason", "cause"),
    [
        (["dropped", "failed"], "prompt_too_long", Cause.NOTHING_ANSWERED),
        (["failed"], "why", Cause.NOTHING_ANSWERED),
        (["dropped"], "why", Cause.OUT_OF_ROWS),
        (["kept", "failed"], "why", Cause.OUT_OF_ROWS),
    ],
)
def test_a_run_in_which_nothing_was_answered_is_not_done(
    place: Place, statuses: list[Status], reason: str, cause: Cause
) -> None:
    rows = [
        replace(result(i, status), rejects=(RejectedRow("n", reason, ""),) * (status == "dropped"))
        for i, status in enumerate(statuses)
    ]
    blocks = [write_block(place.folder, rows, "plan", COLUMNS)]  # type: ignore[arg-type]
    limits = StopConditions(max_failed=1.0, engines={"teacher": EngineSpec("teacher", "m")})
    ending = place.generate(FakeRun([blocks]), limits)
    assert ending.cause is cause
    if cause is Cause.NOTHING_ANSWERED:
        assert (ending.outcome, ending.reason) == ("failed", "failed")


def test_enough_examples_end_the_run(place: Place) -> None:
    run = FakeRun([place.blocks("kept", "kept"), [], place.blocks("kept", start=2)])
    ending = place.generate(run, StopConditions(max_failed=1.0, rows=2))
    assert ending.outcome == "done"
    assert place.counts.examples >= 2


def test_rows_that_may_pass_are_tried_once_more_at_the_end(place: Place) -> None:
    run = FakeRun([place.blocks("kept"), place.blocks("failed", start=1, retryable=True)])
    run.answer = lambda task: [] if not task.retry else [place.blocks("kept", start=1)]
    assert place.generate(run) == Ending(Cause.OUT_OF_ROWS)
    assert [task.ordinals for task in run.fed if task.retry] == [(1,)]
    assert run.closed
    assert (place.counts.statuses["kept"], place.counts.statuses["failed"]) == (2, 0)
    assert place.counts.pending == 8
    assert Dataset(place.folder).status().kept == 2


def test_rows_that_may_pass_are_tried_before_too_many_failed(place: Place) -> None:
    failed = place.blocks("failed", "failed", "failed", retryable=True)
    run = FakeRun([failed, [], [], place.blocks("kept", start=5)])
    run.answer = lambda task: [] if not task.retry else [place.blocks("kept", "kept", "kept")]
    assert place.generate(run, StopConditions(max_failed=0.1)).outcome == "done"
    assert place.counts.statuses["kept"] == 4
    assert place.counts.statuses["failed"] == 0


def test_a_second_failure_counts(place: Place) -> None:
    run = FakeRun([place.blocks("failed", "failed", retryable=True), [], []])
    run.answer = lambda task: [] if not task.retry else [place.blocks("failed", "failed"), []]
    assert place.generate(run, StopConditions(max_failed=0.1)).outcome == "too_many_failed"
    assert Dataset(place.folder).status().failed == 2


def test_a_budget_stops_the_run_and_names_itself(place: Place) -> None:
    run = FakeRun([place.blocks("kept"), [], place.blocks("kept", start=1)])
    run.workers = [WorkerStats(paid={"teacher": (60, 50)}), WorkerStats(paid={"teacher": (0, 1)})]
    ending = place.generate(run, StopConditions(1.0, budget=Budget(tokens=111)))
    assert ending.outcome == "stopped"
    assert ending.message.startswith("the budget of 111 tokens is used up (111 tokens)")
    assert run.stops == 1


def test_a_budget_counts_what_earlier_runs_paid(place: Place) -> None:
    place.committer._paid = {"teacher": (100, 0)}
    run = FakeRun([[], []])
    run.workers = [WorkerStats(paid={"teacher": (5, 0)})]
    spec = EngineSpec("teacher", "m", price={"input": 1e6, "output": 0})
    limits = StopConditions(1.0, budget=Budget(dollars=105), engines={"teacher": spec})
    assert "$105" in place.generate(run, limits).message


def test_hours_count_from_the_start(place: Place) -> None:
    began = time.monotonic() - 3600
    ending = place.generate(
        FakeRun([[], []]), StopConditions(1.0, budget=Budget(hours=1), began=began)
    )
    assert "1 hours is used up" in ending.message


def test_more_rows_are_fed_while_the_run_goes_on(place: Place) -> None:
    rows = [(f"key{i}", "xy"[i % 2]) for i in range(10)]
    work = ClassQuota(rows, ["x", "y"], 2, {}, 1)
    work.resume({}, set())
    lost = {0, 1, 2}
    run = FakeRun([])
    run.answer = lambda task: [
        [
            block
            for i in task.ordinals
            for block in place.blocks("dropped" if i in lost else "kept", start=i)
        ]
    ]
    assert place.generation(run, work=work).to_end().cause is Cause.ENOUGH_OF_EACH_CLASS
    assert sorted(i for task in run.fed for i in task.ordinals) == [0, 1, 2, 3, 4, 5, 6]
    assert (place.counts.statuses["kept"], place.counts.pending) == (4, 3)
    assert work.reached == "output.pairs: 2 rows of each class are kept"


def test_a_run_that_can_take_no_more_says_that_there_is_more(place: Place) -> None:
    rows = [(f"key{i}", "x") for i in range(10)]
    work = ClassQuota(rows, ["x"], 2, {}, 1)
    work.resume({}, set())
    small, next_one = FakeRun([], capacity=2), FakeRun([])
    for run in (small, next_one):
        run.answer = lambda task: [
            place.blocks(*["dropped"] * len(task.ordinals), start=task.ordinals[0])
        ]  # type: ignore[arg-type]
    ending = place.generation(small, work=work, later=[next_one]).to_end()
    assert small.fed
    assert next_one.fed
    assert not work.left
    assert ending.cause is Cause.SHORT_OF_A_CLASS


def test_the_user_and_the_stop_file_are_heard(place: Place) -> None:
    asked = place.generate(FakeRun([[], []]), asked=[True])
    assert asked.outcome == "interrupted"
    request_stop(place.folder, "plateau")
    wished = place.generate(FakeRun([[], []]))
    assert wished == Ending(Cause.STOP_REQUESTED, "stopped on request: plateau")


def test_a_snapshot_sums_the_workers_and_adds_up(place: Place) -> None:
    one, two = WorkerStats("running", running=2), WorkerStats("running", running=1)
    one.add(result(0, "kept"))
    two.add(result(1, "dropped"))
    shown = snapshot("generating", place.counts, [one, two], ["n", "later"], 3.0)
    assert shown.nodes["n"].rows_in == 2
    assert (shown.nodes["n"].kept, shown.nodes["n"].dropped) == (1, 1)
    assert shown.nodes["later"].rows_in == 0
    assert shown.running == 3
    assert shown.kept + shown.dropped + shown.failed + shown.pending == shown.source


@pytest.mark.parametrize(
    ("phases", "said"),
    [
        ([], "starting engines"),
        (["starting"], "starting engines"),
        (["starting", "running"], "generating"),
        (["running", "restarting a dead engine"], "restarting a dead engine"),
    ],
)
def test_the_phase_is_the_workers(phases: list[str], said: str) -> None:
    assert phase_of([WorkerStats(phase) for phase in phases]) == said


def test_the_observer_hears_of_the_first_rows_once_and_when_they_are_committed(
    place: Place,
) -> None:
    class Reading(Watching):
        """Reads the dataset at that moment."""

        def first_rows_committed(self) -> None:
            super().first_rows_committed()
            self.kept = Dataset(place.folder).status().kept

    watching = Reading()
    run = FakeRun([[], place.blocks("kept"), [], place.blocks("kept", start=1)])
    place.generation(run, watching=watching).to_end()
    assert watching.happened.count("first rows") == 1
    assert watching.kept == 1


def test_the_observer_hears_of_no_first_rows_where_none_came(place: Place) -> None:
    watching = Watching()
    place.generation(FakeRun([[], []]), watching=watching).to_end()
    assert watching.happened == ["progress"]


def test_rows_of_earlier_runs_are_no_first_rows(place: Place) -> None:
    place.committer.commit(place.blocks("kept"))
    place.counts.recount(Dataset(place.folder).status())
    watching = Watching()
    place.generation(FakeRun([place.blocks("kept", start=1)]), watching=watching).to_end()
    assert watching.happened.count("first rows") == 1, "the first of this generation"


def test_a_run_that_is_over_before_its_tasks_are_is_no_success(place: Place) -> None:
    ending = place.generate(FakeRun([place.blocks("kept")], lost=1))
    assert (ending.cause, ending.outcome) == (Cause.FAULT, "failed")
    assert "rows were still under way; run the same command again" in ending.message
    assert Dataset(place.folder).status().kept == 1


@pytest.mark.parametrize("cause", list(Cause))
def test_every_ending_has_its_outcome_and_its_reason_in_the_ledger(cause: Cause) -> None:
    reasons = {
        "done": "end",
        "stopped": "stopped",
        "interrupted": "stopped",
        "too_many_failed": "failed",
        "failed": "failed",
    }
    ending = Ending(cause, "why")
    assert ending.reason == reasons[ending.outcome]
