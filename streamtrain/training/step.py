"""One optimizer step: from the rows of a global batch to changed weights.

Losses are divided by the weights of the *global* batch, so that a step is the same for any number
of ranks and micro-batches. Knows nothing of streams, files or schedules, or of what is learned.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from streamtrain.config import StudentConfig
from streamtrain.data import PAIR, SHARE, ExampleTokenizer, rank_slice
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.losses import ClassificationObjective, LanguageModelObjective, Objective
from streamtrain.models import Student, TeacherClassifier, repeated_blocks, with_projections
from streamtrain.training.communicator import Communicator
from streamtrain.training.sharding import fill_absent, shard, total_norm

_POSITIONS = {"cpu": 1024, "cuda": 8192}
"""Tokens in one forward pass; on a CPU a small one is as fast and pads less."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """The result of a step: loss of the global batch, its tokens, those that an encoder read,
    predictions of the head, truncated examples, seconds."""

    loss: float
    tokens: int
    read: int
    predicted: int
    cut: int
    seconds: float


class TrainStep:
    """A student with its optimizer and objective, on one rank."""

    def __init__(
        self,
        student: Student,
        tokenizer: ExampleTokenizer,
        config: StudentConfig,
        communicator: Communicator,
        teacher: TeacherClassifier | None = None,
    ) -> None:
        """Prepare a student for training.

        `teacher` is the classifier to distill from, if any: with objective.beta above 0 the student
        gets projections to its hidden states. With `parallel: fsdp` the student is sharded before
        the optimizer is made. Raises InputError for a target that it can't learn, or a layer that a
        model lacks.
        """
        if teacher is not None and config.objective.beta > 0:
            student = with_projections(student, teacher, config)
        if config.optim.gradient_checkpointing:
            _recompute(student)
        if config.optim.compile:
            for block in repeated_blocks(student.model):
                block.compile(dynamic=True)
        if config.parallel == "fsdp" and communicator.size > 1:
            student = shard(student)
        self._objective: Objective[Any] = (
            ClassificationObjective(student, tokenizer, config, teacher)
            if student.kind == "classifier"
            else LanguageModelObjective(student, tokenizer, config)
        )
        self.student = student
        self.tokenizer = tokenizer
        self._config = config
        self._communicator = communicator
        self._parameters = [parameter for _, parameter in student.trainable()]
        optim = config.optim
        self.optimizer = torch.optim.AdamW(
            self._parameters, lr=optim.lr, eps=optim.eps, weight_decay=optim.weight_decay
        )

    def step(self, rows: Sequence[Mapping[str, Any]], number: int, factor: float) -> StepResult:
        """Train on a global batch, of which this rank takes its slice.

        `number` counts steps from 0 and seeds the dropout; `factor` multiplies the learning rate.
        Raises InputError for a row that is no example, StreamtrainError if the loss or the gradient
        norm is not finite, with the weights as they were.
        """
        began = time.perf_counter()
        # Dropout is drawn anew from the step's number, so that a resumed run draws the same.
        torch.manual_seed(
            self._config.stream.seed + (number << 16) + (self._communicator.rank << 50)
        )
        self.student.model.train()
        mine = self._samples(
            rank_slice(rows, self._communicator.rank, self._communicator.size, self._unit)
        )
        parts = self._objective.shares
        tokens, read, predicted, cut, *weights = self._communicator.all_reduce(
            [
                sum(sample.tokens for sample in mine),
                sum(sample.read for sample in mine),
                sum(sample.predicted for sample in mine),
                sum(sample.cut for sample in mine),
                *(sum(sample.weight for sample in mine if sample.part == part) for part in parts),
            ]
        )
        # A batch whose every weighted token was cut off teaches nothing, but is no error.
        factors = {
            part: share / (weight or 1.0)
            for (part, share), weight in zip(parts.items(), weights, strict=True)
        }
        scaled = [sample.scaled(factors[sample.part]) for sample in mine]
        loss = 0.0
        for compute in self._passes(scaled, rows):
            part_loss = compute()
            part_loss.backward()
            loss += part_loss.item()
        (loss,) = self._communicator.all_reduce([loss])
        self._update(loss, number, factor)
        seconds = time.perf_counter() - began
        return StepResult(loss, int(tokens), int(read), int(predicted), int(cut), seconds)

    @property
    def _unit(self) -> int:
        return len(PAIR) if self._config.data.pairs else 1

    def _samples(self, rows: Sequence[Mapping[str, Any]]) -> list[Any]:
        return [
            sample for row in rows for sample in self._objective.samples(row, self._weight(row))
        ]

    def _passes(
        self, samples: Sequence[Any], rows: Sequence[Mapping[str, Any]]
    ) -> Sequence[Callable[[], torch.Tensor]]:
        """List the losses to compute. A sharded student has as many on every rank, since each pass
        gathers weights from all: a rank with fewer repeats one of weight zero."""
        capacity = _POSITIONS[self.student.device.type]
        passes = self._objective.losses(samples, capacity)
        if not self.student.sharded:
            return passes
        ranks = range(self._communicator.size)
        counts = self._communicator.all_reduce(
            [len(passes) * (rank == self._communicator.rank) for rank in ranks]
        )
        idle = [sample.scaled(0.0) for sample in self._samples(rows[: self._unit])]
        spare = self._objective.losses(idle, capacity)[0]
        return [*passes, *[spare] * (int(max(counts)) - len(passes))]

    def _update(self, loss: float, number: int, factor: float) -> None:
        if self.student.sharded:
            fill_absent(self._parameters)
        else:
            self._communicator.all_reduce_gradients(self._parameters)
        norm = total_norm(self._parameters)
        clip = self._config.optim.clip or math.inf
        torch.nn.utils.clip_grads_with_norm_(self._parameters, clip, norm)
        if not (math.isfinite(loss) and torch.isfinite(norm)):
            self.optimizer.zero_grad(set_to_none=True)
            raise StreamtrainError(
                f"the loss is {loss} at step {number + 1} (gradient norm {float(norm)}); "
                "the last checkpoint is good: try a lower optim.lr"
            )
        for group in self.optimizer.param_groups:
            group["lr"] = self._config.optim.lr * factor
        self.optimizer.step()
        self.optimizer.zero_grad(set_to_none=True)

    def _weight(self, row: Mapping[str, Any]) -> float:
        data = self._config.data
        weight = 1.0 if data.views is None else data.views[row["view"]]
        rationales = data.rationales
        if rationales.weight == "question" and rationales.per_question == "all":
            weight *= row[SHARE]
        return weight


def _recompute(student: Student) -> None:
    """Turn on gradient checkpointing."""
    try:
        student.model.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise InputError(f"optim.gradient_checkpointing: {error}") from error
