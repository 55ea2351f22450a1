"""The training loop of one rank: wait for rows, step, record, save; evaluate before and after.

Rank 0 alone reads the stream and chooses the next action (step, wait, end, stop); the others
receive it, rows included, so that all do the same. Knows nothing of Ray.
"""

from __future__ import annotations

import contextlib
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

import torch

from raygen.core import digest
from streamtrain.data import (
    Decision,
    Decisions,
    Feed,
    GlobalBatch,
    ReadAhead,
    RowFilter,
    ShardStream,
    ask_to_stop,
    make_example_tokenizer,
    make_order,
)
from streamtrain.errors import InputError, StreamLostError
from streamtrain.models import (
    ComputeLoad,
    check_packable,
    load_run_teacher,
    load_student,
    model_source,
    peak_flops,
    token_flops,
)
from streamtrain.run import (
    CHECKPOINTS,
    DECISIONS,
    METRICS,
    Metrics,
    RunSpec,
    check_same_settings,
    open_loggers,
    order_settings,
)
from streamtrain.training import checkpoint
from streamtrain.training.communicator import Communicator
from streamtrain.training.model_selection import ModelSelector, evaluation_due
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.schedule import Schedule
from streamtrain.training.sharding import gathered_weights, unsharded_copy
from streamtrain.training.step import StepResult, TrainStep
from streamtrain.training.validation import Validator

POLL_S = 0.2
"""Seconds that rank 0 waits for rows before it broadcasts that it still does."""

Reason = Literal["end", "plateau", "stopped"]


@dataclass(frozen=True, slots=True)
class _Action:
    """What all ranks do next. A step has its rows, the length of the run once known, units used
    over units known (`epoch`), and units known but not used yet (`lag`)."""

    kind: Literal["step", "wait", "end", "stop"]
    rows: tuple[Mapping[str, Any], ...] = ()
    total: int | None = None
    epoch: float = 0.0
    lag: int = 0


def train(
    job: RunSpec,
    communicator: Communicator,
    open_feed: Callable[[], Feed],
    stopping: Callable[[], bool],
    device: torch.device,
    validator: Validator | None = None,
) -> Reason:
    """Run a job on this rank, to its end or until `stopping`; results go to `job.out`.

    `open_feed` opens the dataset, on rank 0 alone. With a `validator` the select set is evaluated
    in parallel to training. Returns why the run ended. Raises StreamtrainError; the last checkpoint
    stays usable.
    """
    leads = communicator.rank == 0
    metrics = Metrics(job.out / METRICS, open_loggers(job.config, job.out)) if leads else None
    try:
        run = _Run(job, communicator, device, metrics, validator)
        try:
            return run.to_the_end(open_feed, stopping)
        finally:
            run.close()
    finally:
        if metrics is not None:
            metrics.close()


class _Run:
    """The state of one rank over a run."""

    def __init__(
        self,
        job: RunSpec,
        communicator: Communicator,
        device: torch.device,
        metrics: Metrics | None,
        validator: Validator | None,
    ) -> None:
        self.job, self.communicator, self.metrics = job, communicator, metrics
        self.began = time.monotonic()
        path = job.out / DECISIONS
        self.decisions = Decisions(path, job.resume) if communicator.rank == 0 else None
        self.feed: ReadAhead | None = None
        self.waited_s = 0.0
        config = job.config
        self._event(
            "start",
            workers=communicator.size,
            student=config.student,
            model=config.model,
            device=device.type,
        )
        torch.manual_seed(config.stream.seed)
        source = replace(model_source(config), model=job.model, attention=config.attention)
        # What is to be sharded may be too large for one device.
        sharded = config.parallel == "fsdp" and communicator.size > 1
        load_device = torch.device("cpu") if sharded else device
        student = load_student(source, config.tune, load_device, config.data.new_tokens)
        student = replace(student, device=device)
        copied = unsharded_copy(student) if sharded and communicator.rank == 0 else None
        if config.data.pack:
            check_packable(student)
        teacher = load_run_teacher(job, student)
        tokenizer = make_example_tokenizer(config, student.tokenizer)
        self.load = ComputeLoad(token_flops(student), peak_flops(device), communicator.size)
        self.train_step = TrainStep(student, tokenizer, config, communicator, teacher)
        self.row_filter = RowFilter(config)
        self.progress = TrainProgress(order_settings(config))
        saved_checkpoint = checkpoint.latest(job.out / CHECKPOINTS) if job.resume else None
        if saved_checkpoint is not None:
            self.progress = checkpoint.load_progress(saved_checkpoint)
            check_same_settings(self.progress.settings, order_settings(config))
            checkpoint.load_weights(
                saved_checkpoint, self.train_step.student, self.train_step.optimizer
            )
        self.unsharded = copied or self.train_step.student
        self.selector = (
            ModelSelector(job, self.unsharded, tokenizer, self._event, validator)
            if communicator.rank == 0
            else None
        )
        if self.selector is not None:
            self.selector.resume(self.progress)
        self.seconds_before = self.progress.seconds
        optim = config.optim
        self._event("loaded")
        known = self.progress.total if optim.max_steps is None else optim.max_steps
        self.schedule = Schedule(optim.schedule, optim.warmup, known, self.progress.total_known_at)

    def close(self) -> None:
        """Stop reading the dataset, and close the log of decisions."""
        if self.feed is not None:
            self.feed.close()
        if self.decisions is not None:
            self.decisions.close()

    def to_the_end(self, open_feed: Callable[[], Feed], stopping: Callable[[], bool]) -> Reason:
        """Evaluate, train until the stream or the budget ends, evaluate, write the outcome."""
        stream = self._open(open_feed) if self.communicator.rank == 0 else None
        with self._gathered():
            if self.selector is not None and self.progress.before is None:
                before = self.selector.report("before", self.progress)
                self.progress.before = before.to_json() if before else None
        stopped = self._learn(stream, stopping).kind == "stop"
        if not stopped:
            with self._gathered():
                if self.selector is not None:
                    self.selector.finish(self.progress)
        self._save()
        reason: Reason = "stopped" if stopped else self._conclude()
        self._event("end", reason=reason, step=self.progress.step)
        return reason

    def _learn(self, stream: ShardStream | None, stopping: Callable[[], bool]) -> _Action:
        """Train, with checkpoints, until an action is neither a step nor a wait; returns that
        action."""
        saved = time.monotonic()
        while (action := self._next_action(stream, stopping)).kind in ("step", "wait"):
            if action.kind == "wait":
                continue
            self._step(action, stream)
            due = time.monotonic() - saved >= self.job.config.checkpoint_s
            if self.selector is not None:
                due = self.selector.settle(self.progress) or due
            if evaluation_due(self.job.config.evaluate, self.progress.step):
                with self._gathered():
                    if self.selector is not None:
                        self.selector.select(self.progress)
                due = True
            if self.communicator.broadcast(due):
                self._save()
                saved = time.monotonic()
        return action

    def _conclude(self) -> Reason:
        """Report on the best weights and write the outcome."""
        reason: Reason = "end"
        if self.selector is not None and self.selector.plateau(self.progress):
            reason = "plateau"
            if self.job.follow:
                ask_to_stop(self.job.data, f"the student {self.job.config.student} learned out")
        with self._gathered():
            if self.selector is not None:
                self.selector.take_best(self.progress)
                after = self.selector.report("after", self.progress)
                self._clock()
                path = write_outcome(self.job, self.unsharded, self.progress, after)
                self._event("checkpoint", path=str(path), step=self.progress.step)
        return reason

    def _open(self, open_feed: Callable[[], Feed]) -> ShardStream:
        self.feed = ReadAhead(open_feed())
        return ShardStream(
            self.feed, make_order(self.job.config), self.progress.cursor, self._refusal
        )

    def _refusal(self, row: Mapping[str, Any]) -> str | None:
        """Return why a row isn't trained on, or None. Raises InputError for one that is held
        out."""
        reason = self.row_filter.refusal(row)
        if reason is None and self.selector is not None:
            self.selector.held_out.check(row)
        return reason

    def _next_action(self, stream: ShardStream | None, stopping: Callable[[], bool]) -> _Action:
        """Choose the next action on rank 0 and broadcast it; the time that this takes counts as
        waiting for data."""
        began = time.monotonic()
        action = None
        if stream is not None:
            action = self._choose(stream, stopping)
            if action.kind == "wait" and self.feed is not None:
                self.feed.wait(POLL_S)
        shared: _Action = self.communicator.broadcast(action)
        seconds = time.monotonic() - began
        self.waited_s += seconds
        self.progress.wait_s += seconds
        return shared

    def _choose(self, stream: ShardStream, stopping: Callable[[], bool]) -> _Action:
        """Choose the next action, on rank 0. Polls between steps too, since the end may have
        come."""
        if stopping():
            return _Action("stop")
        if self.job.config.optim.max_steps == self.progress.step:
            return _Action("end")
        taken = self.decisions.of(self.progress.step + 1) if self.decisions else None
        # A step that was taken before is taken again, whatever has come to light since.
        if taken is None and self.selector is not None and self.selector.plateau(self.progress):
            return _Action("end")
        stream.poll()
        self.progress.left_out = dict(stream.left_out)
        if self._lacks_rows(stream, taken):
            return _Action("wait")
        now = taken or Decision(self.progress.step + 1, len(stream), stream.ended)
        with stream.as_of(now):
            batch = stream.next_batch()
            total = None if batch is None else self._length(stream, batch)
            lag = len(stream) - stream.cursor.fresh
        if batch is not None:
            if self.decisions is not None:
                self.decisions.record(now)
            self.progress.cursor = batch.cursor
            return _Action("step", batch.rows, total, batch.epoch, lag)
        if not stream.finished:
            return _Action("wait")
        if stream.cursor.used == 0:
            nodes = self.job.config.data.nodes
            of_nodes = f" of data.nodes {', '.join(nodes)}" if nodes else ""
            raise InputError(
                f"{self.job.data}: the dataset ended without an example to train on{of_nodes}; "
                "see `raygen status` for why rows were dropped or failed"
            )
        return _Action("end")

    def _lacks_rows(self, stream: ShardStream, taken: Decision | None) -> bool:
        """Tell whether rows are missing that were there when the cursor was saved, or when the next
        step was taken before.

        Raises StreamLostError if the dataset ended without them.
        """
        there = max(stream.cursor.known, taken.known if taken else 0)
        if len(stream) >= there:
            return False
        if stream.ended:
            raise StreamLostError(
                f"{self.job.data}: step {self.progress.step + 1} needs {there} examples that were "
                f"there before, and the dataset ended with {len(stream)}; start a new run"
            )
        return True

    def _length(self, stream: ShardStream, batch: GlobalBatch) -> int | None:
        """Compute the run's number of steps, `batch` included, once it is known."""
        remaining = stream.remaining()
        if remaining is None:
            return self.job.config.optim.max_steps
        return self.progress.step + 1 + math.ceil(remaining / stream.order.batch)

    def _step(self, action: _Action, stream: ShardStream | None) -> None:
        if action.total is not None:
            self.schedule.set_length(self.progress.step, action.total)
        factor = self.schedule.factor(self.progress.step)
        done = self.train_step.step(action.rows, self.progress.step, factor)
        self.progress.epoch = action.epoch
        self.progress.add(done, len(action.rows), self.load)
        if self.progress.first_step_time is None and stream is not None:
            stream.poll()
            self.progress.first_step_time, self.progress.ended_at_first_step = (
                time.time(),
                stream.ended,
            )
            self._event("first_step", generation_ended=stream.ended)
        self._record(done, factor, action)

    def _record(self, done: StepResult, factor: float, action: _Action) -> None:
        """Record the event of a step; `batch` is a hash of its rows, for comparing runs."""
        self._event(
            "step",
            step=self.progress.step,
            loss=done.loss,
            lr=self.job.config.optim.lr * factor,
            tokens=done.tokens,
            tokens_per_second=done.tokens / done.seconds,
            data_wait_s=round(self.waited_s, 3),
            wait_s=round(self.progress.wait_s, 3),
            wait_share=self.progress.wait_s / self._seconds(),
            rows=self.progress.rows,
            batch_rows=len(action.rows),
            batch=digest([row.get("id") for row in action.rows]),
            total_steps=self.schedule.total,
            epoch=action.epoch,
            lag=action.lag,
            **self.load.of(done.tokens, done.read, done.predicted, done.seconds),
        )
        self.waited_s = 0.0

    def _gathered(self) -> contextlib.AbstractContextManager[None]:
        """Hold the student's present weights in rank 0's `unsharded` student; a context manager."""
        copied = self.unsharded if self.communicator.rank == 0 else None
        return gathered_weights(self.train_step.student, copied)

    def _save(self) -> None:
        train_step, writes = self.train_step, self.communicator.rank == 0
        if not writes and not train_step.student.sharded:
            return
        self._clock()
        folder = self.job.out / CHECKPOINTS
        path = checkpoint.save(
            folder, train_step.student, train_step.optimizer, self.progress, writes
        )
        if self.selector is not None:
            self.selector.sweep(self.progress)
        self._event("checkpoint", path=str(path), step=self.progress.step)

    def _clock(self) -> None:
        self.progress.seconds = self._seconds()
        self.progress.total, self.progress.total_known_at = (
            self.schedule.total,
            self.schedule.known_at,
        )

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _event(self, name: str, **fields: Any) -> None:
        if self.metrics is not None:
            self.metrics.event(name, **fields)
