"""apply: one recipe becomes a dataset and, with `train:`, a student; again, it does what is left.

It ties the parts together in order: check everything, key the source, open the dataset, start the
trainer, generate, commit, sum up. Knows nothing of Ray's or vLLM's own ways.
"""

from __future__ import annotations

import json
import os
import shlex
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

from raygen.chatter import output_to
from raygen.dataset.commit import Committer, Reason
from raygen.dataset.folder import Folder
from raygen.dataset.reader import Dataset
from raygen.dataset.tables import DatasetError
from raygen.errors import UserError
from raygen.generation import Counts, Ending, Limits, generate, phase_of, snapshot
from raygen.interrupts import Interrupts, interrupts
from raygen.job import Job, cut, rows_in_flight, secrets_of
from raygen.metrics import TrainerState
from raygen.outlook import planned
from raygen.prepare import Prepared, Reference, prepare
from raygen.progress import Snapshot
from raygen.sources import KeyedSource, key_source
from raygen.summary import Outcome, RunSummary
from raygen.trainer import Trainer
from raygen.training import Training, discard_students, training_of, training_problems
from raygen.worker import Live

_TRAINER_POLL_S = 0.25
_STOPPING = "finishing what is in flight (Ctrl-C again ends at once)"
_REASONS: dict[Outcome, Reason] = {
    "done": "end",
    "stopped": "stopped",
    "interrupted": "stopped",
    "too_many_failed": "failed",
    "failed": "failed",
}


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """What `raygen apply` was asked to do, beside the recipe itself."""

    reference: Reference
    out: str | None = None
    train: Path | None = None
    fresh: bool = False
    address: str | None = None

    @property
    def words(self) -> list[str]:
        """The request as the command line has it, to go on where this one ends."""
        words = self.reference.words
        words += ["--out", self.out] if self.out else []
        words += ["--train", str(self.train)] if self.train else []
        return words + (["--address", self.address] if self.address else [])


class ApplyUI(Protocol):
    """Whoever watches an apply."""

    def confirm(self, question: str) -> bool:
        """The answer to a yes-or-no question."""
        ...

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """A new moment, several times a second."""
        ...

    def note(self, message: str) -> None:
        """A line worth keeping."""
        ...


def apply(request: ApplyRequest, ui: ApplyUI) -> RunSummary:
    """Bring the recipe's dataset, and its student, as far as they go.

    Raises UserError and its kind before anything starts; what happens after that is in the
    summary, and everything committed so far stays readable.
    """
    started = time.monotonic()
    prepared = prepare(request.reference, lambda recipe: training_problems(recipe, request.train))
    recipe = prepared.recipe
    folder = Folder.at(request.out or prepared.output)
    training = training_of(recipe, request.train, folder, moved=request.out is not None)
    if not _may_write(folder, prepared, request.fresh, ui):
        raise UserError("nothing was changed", 1)
    ui.update(Snapshot("reading the source"), None)
    source = key_source(recipe.source, prepared.plan.task, recipe.base, folder)
    with interrupts() as asked:
        watch = _Watch(ui, asked, started)
        return _Apply(request, prepared, folder, source, training, watch).run()


def _may_write(folder: Folder, prepared: Prepared, fresh: bool, ui: ApplyUI) -> bool:
    """Whether the user agrees to what would be replaced; nothing to replace needs no question."""
    plans = Dataset(folder).plans()
    if not plans:
        return True
    status = Dataset(folder).status()
    have = f"{folder.uri} has {status.examples:,} examples of {status.kept:,} rows"
    if fresh:
        return ui.confirm(f"{have}. Replace all of them, and the student trained on them?")
    if plans != {prepared.plan.hash}:
        return ui.confirm(
            f"{have}, made by another version of this recipe. "
            "The first new rows replace all of them. Go on?"
        )
    return True


@dataclass(slots=True)
class _Watch:
    """The user's side of a run: what to show, and whether Ctrl-C was pressed."""

    ui: ApplyUI
    asked: Interrupts
    started: float

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.started


class _Apply:
    """One apply from the keyed source to the summary."""

    def __init__(
        self,
        request: ApplyRequest,
        prepared: Prepared,
        folder: Folder,
        source: KeyedSource,
        training: Training | None,
        watch: _Watch,
    ) -> None:
        self.request = request
        self.recipe = prepared.recipe
        self.plan = prepared.plan
        self.reference = prepared.reference
        self.folder = folder
        self.source = source
        self.training = training
        self.watch = watch
        self.logs = _log_folder(folder)
        self.trainer: Trainer | None = None
        self.address: str | None = None
        self.replaces = False
        self.counts = Counts(source.total, None)
        self.run_id = uuid.uuid4().hex

    def run(self) -> RunSummary:
        """Generate, train, sum up."""
        committer = Committer(self.folder, self.plan.hash, self.plan.columns, self.run_id)
        meta = {"source": self.source.total, "source_file": self.source.name}
        before = Dataset(self.folder).plans()
        expected = planned(self.recipe, self.plan, self.source, self.folder)
        committer.start(meta, fresh=self.request.fresh)
        self._publish(expected)
        self.replaces = self.request.fresh or bool(before - {self.plan.hash})
        if self.replaces:
            discard_students(self.folder, self.training)
        done = {} if self.replaces else Dataset(self.folder).done(self.plan.hash)
        if done:
            self.counts = Counts(self.source.total, Dataset(self.folder).status())
        pending = [i for i, key in enumerate(self.source.keys) if key not in done]
        with ExitStack() as stack:
            stack.callback(self._stop_trainer)
            ending = Ending()
            if pending:
                ending = self._generate(committer, pending, stack)
            else:
                committer.finish("end")
            state = self._train_to_end(ending, bool(pending))
        return self._summary(ending, state)

    def _generate(self, committer: Committer, pending: list[int], stack: ExitStack) -> Ending:
        from raygen import run_ray  # takes seconds to import, and only here is Ray needed

        self._show("starting Ray")
        profile = self.recipe.profile
        tasks = cut(pending, profile.replicas.max if profile else 1)
        job = self._job(len(tasks))
        address = (
            self.request.address
            or (profile.address if profile else None)
            or os.environ.get("RAY_ADDRESS")
        )
        trainers = self.training.workers() if self.training else 0
        cpus = job.replicas[1] + trainers + 1
        stack.enter_context(output_to(self.logs / "driver.log"))
        self.address = stack.enter_context(
            run_ray.cluster(address, cpus, self.logs, self.reference.trusted)
        )
        self.watch.asked.listen()
        if not self.replaces:
            self._start_trainer()
        limits = Limits(self.plan.max_failed, self.recipe.output.rows)
        try:
            run = run_ray.RayRun(job, tasks)
            ending = generate(run, committer, self.folder, self.counts, limits, self._tick)
            committer.finish(_REASONS[ending.outcome])
            self.folder.delete(job.probe)
        except DatasetError as error:
            return Ending("failed", str(error))
        return ending

    def _job(self, tasks: int) -> Job:
        probe = f"control/probe-{self.run_id}"
        self.folder.write_text(probe, self.run_id)
        profile = self.recipe.profile
        low, high = (profile.replicas.min, profile.replicas.max) if profile else (1, 1)
        high = min(high, tasks)
        return Job(
            plan=self.plan,
            folder=self.folder,
            source=self.source.name,
            probe=probe,
            replicas=(min(low, high), high),
            concurrency=(profile.concurrency if profile else None) or rows_in_flight(self.plan),
            threads=max(1, (os.cpu_count() or 1) // high),
            logs=str(self.logs.resolve()),
            secrets=secrets_of(self.plan),
        )

    def _train_to_end(self, ending: Ending, generated: bool) -> TrainerState | None:
        """Wait for the trainer; where nothing was to generate, start it if it isn't done."""
        if ending.outcome in ("failed", "too_many_failed", "interrupted"):
            return self._stop_trainer()
        if self.training and self.training.finished and not generated:
            self.watch.ui.note(f"the student in {self.training.out} is already trained")
            return self.training.outcome()
        self._start_trainer()
        while self.trainer:
            state = self._show("training")
            if state is None or state.finished:
                return state
            if self.watch.asked.asked:
                return self._stop_trainer()
            time.sleep(_TRAINER_POLL_S)
        return None

    def _stop_trainer(self) -> TrainerState | None:
        return self.trainer.stop() if self.trainer else None

    def _start_trainer(self) -> None:
        if self.training and self.trainer is None:
            self.trainer = self.training.start(self.folder.uri, self.logs, self.address)

    def _tick(self, lives: Sequence[Live]) -> bool:
        if self.counts.last_row_at is not None:
            # Rows that are replaced leave with the first commit: until then nobody may read them.
            self._start_trainer()
        asked = self.watch.asked.asked
        self._show(_STOPPING if asked else phase_of(lives), lives)
        return asked

    def _show(self, phase: str, lives: Sequence[Live] = ()) -> TrainerState | None:
        names = [node.name for node in self.plan.nodes]
        now = snapshot(phase, self.counts, lives, names, self.watch.seconds)
        state = self.trainer.poll() if self.trainer else None
        self.watch.ui.update(replace(now, log=str(self.logs)), state)
        return state

    def _publish(self, expected: Mapping[str, Any]) -> None:
        """Write the frozen recipe, and the plan with what is expected of it, beside the tables."""
        written = {**self.plan.to_json(), "estimate": expected}
        plan = json.dumps(written, indent=2, ensure_ascii=False)
        self.folder.write_text("recipe.yaml", self.recipe.frozen())
        self.folder.write_text("plan.json", plan + "\n")

    def _summary(self, ending: Ending, state: TrainerState | None) -> RunSummary:
        counts = self.counts
        lead = None
        if state and state.first_step and counts.last_row_at:
            lead = counts.last_row_at - state.first_step
        return RunSummary(
            recipe=self.recipe.name,
            reference=shlex.join(self.reference.words),
            again=shlex.join(self.request.words),
            plan=self.plan.hash,
            dataset=self.folder.uri,
            log=str(self.logs),
            outcome=ending.outcome,
            source=counts.source,
            left_out=self.source.left_out,
            kept=counts.statuses["kept"],
            dropped=counts.statuses["dropped"],
            failed=counts.statuses["failed"],
            pending=counts.pending,
            examples=counts.examples,
            prompt_tokens=counts.prompt_tokens,
            output_tokens=counts.output_tokens,
            seconds=self.watch.seconds,
            rejects=counts.top_rejects,
            message=ending.message,
            user_fault=ending.user_fault,
            trainer=state,
            lead_s=lead,
            student=str(self.training.out) if self.training else None,
        )


def _log_folder(folder: Folder) -> Path:
    """Where the chatter of Ray, vLLM and the trainer goes: beside the tables, if that is local."""
    logs = folder.local / "logs" if folder.local is not None else Path("logs") / uuid.uuid4().hex
    logs.mkdir(parents=True, exist_ok=True)
    return logs
