"""Run one apply, from the keyed source to the summary.

It ties the parts together in order: open the dataset, see what is left, start the trainer,
generate, train to the end, sum up. Knows nothing of how Ray or vLLM work.
"""

from __future__ import annotations

import os
import shlex
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from raygen.apply.other_calls import find_calls, open_others, other_calls_words, with_others
from raygen.apply.replacing import begin_replacing, end_earlier_replacing, end_replacing
from raygen.apply.request import ApplyRequest, UserSession
from raygen.core import joining_words, make_private, redirected_output
from raygen.dataset import (
    Committer,
    Dataset,
    DatasetError,
    Folder,
    charged_dollars,
    delete_probe,
    write_probe,
)
from raygen.planning import (
    Cluster,
    PreparedRecipe,
    conditions_of,
    drop_lock,
    placement_of,
    planned_estimate,
    write_sidecars,
)
from raygen.runtime import (
    AllRows,
    Answers,
    Cause,
    ClassQuota,
    Counts,
    Driver,
    Ending,
    GenerationJob,
    GenerationRun,
    Scheduler,
    StopConditions,
    WorkerStats,
    add_answers,
    limit_reached,
    often_cut,
    out_of_rows,
    phase_of,
    secrets_of,
    snapshot,
    total_dollars,
)
from raygen.sources import KeyedSource
from raygen.trainer import Trainer, TrainerState, Training
from raygen.views import RunSummary

_TRAINER_POLL_S = 0.25
_STOPPING = "finishing what is in flight (Ctrl-C again ends at once)"


class Runtime(Protocol):
    """Where rows run: Ray, or a fake of it in a test."""

    def cluster(
        self, address: str | None, cpus: int, logs: Path, trusted: Sequence[Path] = ()
    ) -> AbstractContextManager[Cluster]:
        """Join the cluster at an address, or start a local one with so many CPUs."""
        ...

    def start_run(self, job: GenerationJob, tickets: int) -> GenerationRun:
        """Begin a run that takes about so many tasks."""
        ...


def _ray() -> Runtime:
    from raygen.runtime import (
        ray_backend as run_ray,  # takes seconds to import, and only to generate is Ray needed
    )

    return run_ray


class Session:
    """One apply from the keyed source to the summary."""

    def __init__(
        self,
        request: ApplyRequest,
        prepared: PreparedRecipe,
        folder: Folder,
        source: KeyedSource,
        training: Training | None,
        watch: UserSession,
        runtime: Callable[[], Runtime] = _ray,
    ) -> None:
        self._runtime = runtime
        self.request = request
        self.prepared = prepared
        self.recipe, self.plan = prepared.recipe, prepared.plan
        self.reference = prepared.reference
        self.folder, self.source = folder, source
        self.training = training
        self.watch = watch
        self.logs = _log_folder(folder)
        self.trainer: Trainer | None = None
        self.placement = placement_of(self.recipe, self.plan, training.workers() if training else 0)
        self.share = self.placement.share(0)
        self.cluster: Cluster | None = None
        self.counts = Counts(source.total, None)
        self.stats: Sequence[WorkerStats] = ()
        self.run_id = uuid.uuid4().hex
        self.others = open_others(request.calls, folder)
        self.committer = Committer(folder, self.plan.hash, self.plan.columns, self.run_id)
        self.limits = StopConditions(
            self.plan.max_failed,
            self.recipe.output.rows,
            request.budget,
            self.plan.engines,
            watch.started,
        )
        self._unpublished: Mapping[str, Any] | None = None
        self._learned: list[str] = []
        self._answers: Answers = {}
        self._replaces = False  # set as long as rows are there that the first new ones replace

    def run(self) -> RunSummary:
        """Generate, train, sum up."""
        meta = {
            "source": self.source.total,
            "source_file": self.source.name,
            "conditions": conditions_of(self.plan),
            "lock": lock.digest if (lock := self.prepared.lock) else None,
        }
        end_earlier_replacing(self.folder, self.training)
        for note in self.source.notes:
            self.watch.ui.note(note)
        before = Dataset(self.folder).plans()
        self._unpublished = planned_estimate(self.recipe, self.plan, self.source, self.folder)
        self.committer.start(meta, fresh=self.request.fresh)
        self._replaces = self.request.fresh or bool(before - {self.plan.hash})
        if self._replaces:
            begin_replacing(self.folder, self.run_id)
        else:
            self._publish()
            if self.request.retry:
                self.committer.requeue_failed(retryable=False)
        work = self._work()
        ending = limit_reached(self.counts, self.limits, self.committer.paid)
        generates = ending is None and work.left
        with ExitStack() as stack:
            stack.callback(self._stop_trainer)
            if generates:
                ending = self._generate(work, stack)
            else:
                ending = ending or out_of_rows(work)
                self.committer.finish(ending.reason)
            state = self._train_to_end(ending, generates)
        return self._summary(ending, state)

    def first_rows_committed(self) -> None:
        """Delete what was made of the old rows, publish the new plan, start the trainer."""
        if self._replaces:
            end_replacing(self.folder, self.training)
            self._replaces = False
        self._publish()
        if self.share.concurrent:
            self._start_trainer()

    def progress(self, stats: Sequence[WorkerStats]) -> None:
        """Show what the workers have done; what their engines learned is said once."""
        for note in (note for worker in stats for note in worker.notes):
            if note not in self._learned:
                self._learned.append(note)
                self.watch.ui.note(note)
                self.committer.describe(learned=self._learned)
        self._answers = add_answers(worker.answers for worker in stats)
        self._show(_STOPPING if self.interrupted else phase_of(stats), stats)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self.watch.interrupts.requested

    def _work(self) -> Scheduler:
        """Schedule the rows that are left, with the files of their recorded calls."""
        dataset, keys = Dataset(self.folder), self.source.keys
        others = find_calls(self.others)
        if self.others:
            self.watch.ui.note(other_calls_words(self.others, others, keys))
        files = with_others(dataset.transcript_files(self.committer.recorded), others)
        done = {} if self._replaces else dataset.done(self.plan.hash)
        retryable = dataset.failed(self.plan.hash, retryable=True) if done else frozenset()
        if done:
            self.counts.recount(dataset.status())
        work: AllRows | ClassQuota
        if self.recipe.output.pairs is None:
            work = AllRows(keys, done, files, self.placement.high)
        else:
            classes, names = self._classes()
            rows = list(zip(keys, classes, strict=True))
            pairs = self.recipe.output.pairs
            work = ClassQuota(rows, names, pairs, files, self.placement.high)
            work.resume(done, retryable)
        work.retryable = set(retryable).intersection(keys)
        return work

    def _classes(self) -> tuple[list[str | None], list[str]]:
        """Read the class of every source row, None of one that doesn't fit, and list the classes
        in order."""
        task, invalid = self.plan.task, self.source.invalid
        values = self.source.column(task.answer or "")
        classes = [None if at in invalid else str(value) for at, value in enumerate(values)]
        names = list(task.labels) or sorted({value for at, value in enumerate(values)
                                             if at not in invalid})  # fmt: skip
        return classes, list(map(str, names))

    def _generate(self, work: Scheduler, stack: ExitStack) -> Ending:
        profile = self.recipe.profile
        address = (
            self.request.address
            or (profile.address if profile else None)
            or os.environ.get("RAY_ADDRESS")
        )
        self._show(joining_words(address))
        runtime = self._runtime()
        cpus = self.placement.high + self.placement.trainers + 1
        stack.enter_context(redirected_output(self.logs / "driver.log"))
        self.cluster = stack.enter_context(
            runtime.cluster(address, cpus, self.logs, self.reference.trusted)
        )
        self.share = self.placement.share(self.cluster.gpus)
        if self.share.note:
            self.watch.ui.note(self.share.note)
        job = self._job()
        self.watch.interrupts.listen()
        if not self._replaces:
            drop_lock(self.folder, self.prepared)
            if self.share.concurrent:
                self._start_trainer()
        try:
            ending = Driver(
                partial(runtime.start_run, job),
                work,
                self.committer,
                self.folder,
                self.counts,
                self.limits,
                self,
            ).to_end()
            self.committer.finish(ending.reason)
            delete_probe(self.folder, job.probe)
        except DatasetError as error:
            return Ending(Cause.FAULT, str(error))
        return ending

    def _job(self) -> GenerationJob:
        probe = write_probe(self.folder, self.run_id)
        high = min(self.share.actors, max(1, self.counts.pending))
        self.committer.describe(actors=high)
        return GenerationJob(
            plan=self.plan,
            folder=self.folder,
            source=self.source.name,
            probe=probe,
            replicas=(min(self.placement.low, high), high),
            concurrency=self.placement.rows,
            threads=max(1, (os.cpu_count() or 1) // high),
            logs=str(self.logs.resolve()),
            secrets=secrets_of(self.plan),
            others=self.others,
        )

    def _train_to_end(self, ending: Ending, generated: bool) -> TrainerState | None:
        """Wait for the trainer; where nothing was to generate, start it if it isn't done."""
        if ending.outcome in ("failed", "too_many_failed", "interrupted"):
            return self._stop_trainer()
        if self._replaces:
            return None  # no row of this plan is there, and the student is of the old ones
        if self.training and self.training.finished and not generated:
            self.watch.ui.note(f"the student in {self.training.out} is already trained")
            return self.training.outcome()
        self._start_trainer()
        while self.trainer:
            state = self._show("training")
            if state is None or state.finished:
                return state
            if self.interrupted:
                return self._stop_trainer()
            time.sleep(_TRAINER_POLL_S)
        return None

    def _stop_trainer(self) -> TrainerState | None:
        return self.trainer.stop() if self.trainer else None

    def _start_trainer(self) -> None:
        if self.training and self.trainer is None:
            address = self.cluster.address if self.cluster else None
            self.trainer = self.training.start(
                self.folder.uri, self.logs, address, self.share.workers
            )

    def _show(self, phase: str, stats: Sequence[WorkerStats] = ()) -> TrainerState | None:
        self.stats = stats or self.stats  # the last stats stay in view when the workers are gone
        names = [node.name for node in self.plan.nodes]
        now = snapshot(phase, self.counts, self.stats, names, self.watch.seconds)
        now = replace(now, running=now.running if stats else 0, log=str(self.logs))
        state = self.trainer.poll() if self.trainer else None
        self.watch.ui.update(now, state)
        return state

    def _publish(self) -> None:
        """Write the recipe, its plan and its lock beside the tables, once."""
        if self._unpublished is not None:
            write_sidecars(self.folder, self.prepared, self._unpublished)
            self._unpublished = None

    def _summary(self, ending: Ending, state: TrainerState | None) -> RunSummary:
        counts, engines = self.counts, self.plan.engines
        paid, reported = self.committer.paid, self.committer.reported
        thoughts = {name: (0, each.thinking) for name, each in reported.items()}
        lead = None
        if state and state.first_step and counts.last_row_at:
            lead = counts.last_row_at - state.first_step
        continuation = self.request
        if ending.outcome == "stopped":
            raised = continuation.budget.raised(paid, total_dollars(paid, engines))
            continuation = replace(continuation, budget=raised)
        priced = any(spec.price for spec in engines.values())
        curves = self.training.curves if self.training else None
        return RunSummary(
            recipe=self.recipe.name,
            reference=shlex.join(self.reference.words),
            again=shlex.join(continuation.words),
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
            reused=counts.reused,
            saved_tokens=counts.saved_tokens,
            dollars=total_dollars(paid, engines, reported) if priced else None,
            charged=charged_dollars(reported),
            thinking_tokens=sum(tokens for _, tokens in thoughts.values()),
            thinking_dollars=total_dollars(thoughts, engines) if priced else None,
            seconds=self.watch.seconds,
            rejects=counts.top_rejects,
            message=ending.message,
            user_fault=ending.user_fault,
            trainer=state,
            lead_s=lead,
            student=str(self.training.out) if self.training else None,
            curves=str(curves) if curves else None,
            dashboard=self.cluster.dashboard if self.cluster else None,
            metrics=self.cluster.metrics if self.cluster else None,
            reports=self._reports(),
            cut=often_cut(self._answers),
        )

    def _reports(self) -> Mapping[str, Mapping[str, int]]:
        """Count the examples by what ops report; nothing where the dataset can't be read now."""
        if not self.counts.examples or not any(node.reports for node in self.plan.nodes):
            return {}
        try:
            return Dataset(self.folder).reports(self.plan.to_json())
        except DatasetError:
            return {}


def _log_folder(folder: Folder) -> Path:
    """Make the folder for the logs of Ray, vLLM and the trainer, beside local tables."""
    logs = folder.local / "logs" if folder.local is not None else Path("logs") / uuid.uuid4().hex
    make_private(logs)
    return logs
