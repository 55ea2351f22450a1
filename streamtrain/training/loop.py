"""The training loop of one rank: wait for rows, step, record, save; evaluate before and after.

Rank 0 alone reads the stream and decides (step, wait, end, stop); the others hear of it, rows
included, so that all do the same. Knows nothing of Ray.
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
"""How long rank 0 waits for rows before it tells the others that it still does."""

Reason = Literal["end", "plateau", "stopped"]


@dataclass(frozen=True, slots=True)
class _Turn:
    """What all ranks do next; a step has its rows, the run's length once that is known, and how far
    the stream is: rows used over those known, and rows known that weren't used yet."""

    kind: Literal["step", "wait", "end", "stop"]
    rows: tuple[Mapping[str, Any], ...] = ()
    total: int | None = None
    epoch: float = 0.0
    lag: int = 0


def train(
    job: RunSpec,
    world: Communicator,
    open_feed: Callable[[], Feed],
    stopping: Callable[[], bool],
    device: torch.device,
    validator: Validator | None = None,
) -> Reason:
    """Run a job on this rank, to its end or until `stopping`; the results are in `job.out`.

    With a `validator` the select set is asked beside the loop.

    Raises StreamtrainError, with the last checkpoint left usable.
    """
    own = world.rank == 0
    metrics = Metrics(job.out / METRICS, open_loggers(job.config, job.out)) if own else None
    try:
        run = _Run(job, world, device, metrics, validator)
        try:
            return run.to_the_end(open_feed, stopping)
        finally:
            run.close()
    finally:
        if metrics is not None:
            metrics.close()


class _Run:
    """One rank's state over a run."""

    def __init__(
        self,
        job: RunSpec,
        world: Communicator,
        device: torch.device,
        metrics: Metrics | None,
        validator: Validator | None,
    ) -> None:
        self.job, self.world, self.metrics = job, world, metrics
        self.began = time.monotonic()
        path = job.out / DECISIONS
        self.decisions = Decisions(path, job.resume) if world.rank == 0 else None
        self.feed: ReadAhead | None = None
        self.waited_s = 0.0
        config = job.config
        self._event(
            "start",
            workers=world.size,
            student=config.student,
            model=config.model,
            device=device.type,
        )
        torch.manual_seed(config.stream.seed)
        source = replace(model_source(config), model=job.model, attention=config.attention)
        # What is to be sharded may be too large for one device.
        sharded = config.parallel == "fsdp" and world.size > 1
        place = torch.device("cpu") if sharded else device
        student = load_student(source, config.tune, place, config.data.new_tokens)
        student = replace(student, device=device)
        copied = unsharded_copy(student) if sharded and world.rank == 0 else None
        if config.data.pack:
            check_packable(student)
        teacher = load_run_teacher(job, student)
        encoder = make_example_tokenizer(config, student.tokenizer)
        self.load = ComputeLoad(token_flops(student), peak_flops(device), world.size)
        self.learner = TrainStep(student, encoder, config, world, teacher)
        self.wanted = RowFilter(config)
        self.at = TrainProgress(order_settings(config))
        found = checkpoint.latest(job.out / CHECKPOINTS) if job.resume else None
        if found is not None:
            self.at = checkpoint.load_progress(found)
            check_same_settings(self.at.settings, order_settings(config))
            checkpoint.load_weights(found, self.learner.student, self.learner.optimizer)
        self.whole = copied or self.learner.student
        self.judge = (
            ModelSelector(job, self.whole, encoder, self._event, validator)
            if world.rank == 0
            else None
        )
        if self.judge is not None:
            self.judge.resume(self.at)
        self.seconds_before = self.at.seconds
        optim = config.optim
        self._event("loaded")
        known = self.at.total if optim.max_steps is None else optim.max_steps
        self.schedule = Schedule(optim.schedule, optim.warmup, known, self.at.total_known_at)

    def close(self) -> None:
        """Close the file of decisions, and look at the dataset no more."""
        if self.feed is not None:
            self.feed.close()
        if self.decisions is not None:
            self.decisions.close()

    def to_the_end(self, open_feed: Callable[[], Feed], stopping: Callable[[], bool]) -> Reason:
        """Evaluate, train until the stream or its budget ends, evaluate, write the outcome."""
        stream = self._open(open_feed) if self.world.rank == 0 else None
        with self._in_one_piece():
            if self.judge is not None and self.at.before is None:
                before = self.judge.report("before", self.at)
                self.at.before = before.to_json() if before else None
        stopped = self._learn(stream, stopping).kind == "stop"
        if not stopped:
            with self._in_one_piece():
                if self.judge is not None:
                    self.judge.finish(self.at)
        self._save()
        reason: Reason = "stopped" if stopped else self._conclude()
        self._event("end", reason=reason, step=self.at.step)
        return reason

    def _learn(self, stream: ShardStream | None, stopping: Callable[[], bool]) -> _Turn:
        """Step by step, with checkpoints, until the turn that is neither a step nor a wait."""
        saved = time.monotonic()
        while (turn := self._decide(stream, stopping)).kind in ("step", "wait"):
            if turn.kind == "wait":
                continue
            self._step(turn, stream)
            due = time.monotonic() - saved >= self.job.config.checkpoint_s
            if self.judge is not None:
                due = self.judge.settle(self.at) or due
            if evaluation_due(self.job.config.evaluate, self.at.step):
                with self._in_one_piece():
                    if self.judge is not None:
                        self.judge.select(self.at)
                due = True
            if self.world.broadcast(due):
                self._save()
                saved = time.monotonic()
        return turn

    def _conclude(self) -> Reason:
        """Report on the best weights and leave the outcome."""
        reason: Reason = "end"
        if self.judge is not None and self.judge.plateau(self.at):
            reason = "plateau"
            if self.job.follow:
                ask_to_stop(self.job.data, f"the student {self.job.config.student} learned out")
        with self._in_one_piece():
            if self.judge is not None:
                self.judge.take_best(self.at)
                after = self.judge.report("after", self.at)
                self._clock()
                path = write_outcome(self.job, self.whole, self.at, after)
                self._event("checkpoint", path=str(path), step=self.at.step)
        return reason

    def _open(self, open_feed: Callable[[], Feed]) -> ShardStream:
        self.feed = ReadAhead(open_feed())
        return ShardStream(self.feed, make_order(self.job.config), self.at.cursor, self._refusal)

    def _refusal(self, row: Mapping[str, Any]) -> str | None:
        """Why a row isn't trained on, or None. Raises InputError for one that is held out."""
        reason = self.wanted.refusal(row)
        if reason is None and self.judge is not None:
            self.judge.held_out.check(row)
        return reason

    def _decide(self, stream: ShardStream | None, stopping: Callable[[], bool]) -> _Turn:
        """The next turn of all ranks. What passes until they have its rows is waited for data."""
        began = time.monotonic()
        turn = None
        if stream is not None:
            turn = self._next(stream, stopping)
            if turn.kind == "wait" and self.feed is not None:
                self.feed.wait(POLL_S)
        shared: _Turn = self.world.broadcast(turn)
        seconds = time.monotonic() - began
        self.waited_s += seconds
        self.at.wait_s += seconds
        return shared

    def _next(self, stream: ShardStream, stopping: Callable[[], bool]) -> _Turn:
        """Rank 0: what to do now. The stream is polled between steps too: its end may be near."""
        if stopping():
            return _Turn("stop")
        if self.job.config.optim.max_steps == self.at.step:
            return _Turn("end")
        taken = self.decisions.of(self.at.step + 1) if self.decisions else None
        # A step that was taken before is taken again, whatever has come to light since.
        if taken is None and self.judge is not None and self.judge.plateau(self.at):
            return _Turn("end")
        stream.poll()
        self.at.left_out = dict(stream.left_out)
        if self._lacks_rows(stream, taken):
            return _Turn("wait")
        now = taken or Decision(self.at.step + 1, len(stream), stream.ended)
        with stream.seen_at(now):
            batch = stream.next_batch()
            total = None if batch is None else self._length(stream, batch)
            lag = len(stream) - stream.cursor.fresh
        if batch is not None:
            if self.decisions is not None:
                self.decisions.record(now)
            self.at.cursor = batch.cursor
            return _Turn("step", batch.rows, total, batch.epoch, lag)
        if not stream.finished:
            return _Turn("wait")
        if stream.cursor.used == 0:
            nodes = self.job.config.data.nodes
            of_nodes = f" of data.nodes {', '.join(nodes)}" if nodes else ""
            raise InputError(
                f"{self.job.data}: the dataset ended without an example to train on{of_nodes}; "
                "see `raygen status` for why rows were dropped or failed"
            )
        return _Turn("end")

    def _lacks_rows(self, stream: ShardStream, taken: Decision | None) -> bool:
        """Whether rows are still to be read that were there when the cursor was saved, or when the
        next step was taken before. Raises StreamLostError where the dataset ended without them."""
        there = max(stream.cursor.known, taken.known if taken else 0)
        if len(stream) >= there:
            return False
        if stream.ended:
            raise StreamLostError(
                f"{self.job.data}: step {self.at.step + 1} needs {there} examples that were there "
                f"before, and the dataset ended with {len(stream)}; start a new run"
            )
        return True

    def _length(self, stream: ShardStream, batch: GlobalBatch) -> int | None:
        """The run's number of steps, `batch` included, once it is known."""
        remaining = stream.remaining()
        if remaining is None:
            return self.job.config.optim.max_steps
        return self.at.step + 1 + math.ceil(remaining / stream.order.batch)

    def _step(self, decision: _Turn, stream: ShardStream | None) -> None:
        if decision.total is not None:
            self.schedule.set_length(self.at.step, decision.total)
        factor = self.schedule.factor(self.at.step)
        done = self.learner.step(decision.rows, self.at.step, factor)
        self.at.epoch = decision.epoch
        self.at.add(done, len(decision.rows), self.load)
        if self.at.first_step_time is None and stream is not None:
            stream.poll()
            self.at.first_step_time, self.at.ended_at_first_step = time.time(), stream.ended
            self._event("first_step", generation_ended=stream.ended)
        self._record(done, factor, decision)

    def _record(self, done: StepResult, factor: float, turn: _Turn) -> None:
        """A step's event; `batch` is a hash of its rows, by which runs are compared."""
        self._event(
            "step",
            step=self.at.step,
            loss=done.loss,
            lr=self.job.config.optim.lr * factor,
            tokens=done.tokens,
            tokens_per_second=done.tokens / done.seconds,
            data_wait_s=round(self.waited_s, 3),
            wait_s=round(self.at.wait_s, 3),
            wait_share=self.at.wait_s / self._seconds(),
            rows=self.at.rows,
            batch_rows=len(turn.rows),
            batch=digest([row.get("id") for row in turn.rows]),
            total_steps=self.schedule.total,
            epoch=turn.epoch,
            lag=turn.lag,
            **self.load.of(done.tokens, done.read, done.predicted, done.seconds),
        )
        self.waited_s = 0.0

    def _in_one_piece(self) -> contextlib.AbstractContextManager[None]:
        """While it lasts, rank 0 has the student's present weights in `whole`."""
        copied = self.whole if self.world.rank == 0 else None
        return gathered_weights(self.learner.student, copied)

    def _save(self) -> None:
        learner, writes = self.learner, self.world.rank == 0
        if not writes and not learner.student.sharded:
            return
        self._clock()
        folder = self.job.out / CHECKPOINTS
        path = checkpoint.save(folder, learner.student, learner.optimizer, self.at, writes)
        if self.judge is not None:
            self.judge.sweep(self.at)
        self._event("checkpoint", path=str(path), step=self.at.step)

    def _clock(self) -> None:
        self.at.seconds = self._seconds()
        self.at.total, self.at.total_known_at = self.schedule.total, self.schedule.known_at

    def _seconds(self) -> float:
        return self.seconds_before + time.monotonic() - self.began

    def _event(self, name: str, **fields: Any) -> None:
        if self.metrics is not None:
            self.metrics.event(name, **fields)
