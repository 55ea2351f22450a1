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

_PLACES = {"cpu": 1024, "cuda": 8192}
"""Token places in one forward pass; on a CPU a small one is as fast and pads less."""


@dataclass(frozen=True, slots=True)
class StepResult:
    """What one step did: loss of the global batch, its tokens, those of them that an encoder read,
    predictions of the head, cut examples, seconds."""

    loss: float
    tokens: int
    read: int
    predicted: int
    cut: int
    seconds: float


class TrainStep:
    """A student with its optimizer, on one rank of a world."""

    def __init__(
        self,
        student: Student,
        encoder: ExampleTokenizer,
        config: StudentConfig,
        world: Communicator,
        teacher: TeacherClassifier | None = None,
    ) -> None:
        """Where a teacher's hidden states are imitated, the student gets its projections here, and
        with `parallel: fsdp` it is sharded, before the optimizer is made."""
        if teacher is not None and config.objective.beta > 0:
            student = with_projections(student, teacher, config)
        if config.optim.gradient_checkpointing:
            _recompute(student)
        if config.optim.compile:
            for block in repeated_blocks(student.model):
                block.compile(dynamic=True)
        if config.parallel == "fsdp" and world.size > 1:
            student = shard(student)
        self._objective: Objective[Any] = (
            ClassificationObjective(student, encoder, config, teacher)
            if student.kind == "classifier"
            else LanguageModelObjective(student, encoder, config)
        )
        self.student = student
        self.encoder = encoder
        self._config = config
        self._world = world
        self._parameters = [parameter for _, parameter in student.trainable()]
        optim = config.optim
        self.optimizer = torch.optim.AdamW(
            self._parameters, lr=optim.lr, eps=optim.eps, weight_decay=optim.weight_decay
        )

    def step(self, rows: Sequence[Mapping[str, Any]], number: int, factor: float) -> StepResult:
        """Learn from a global batch, of which this rank takes its slice; `number` counts steps
        from 0 and `factor` is the schedule's.

        Raises InputError for a row that is no example, StreamtrainError where the loss is no
        number any more (the weights are as before then).
        """
        began = time.perf_counter()
        # Dropout is drawn anew from the step's number, so that a resumed run draws the same.
        torch.manual_seed(self._config.stream.seed + (number << 16) + (self._world.rank << 50))
        self.student.model.train()
        mine = self._samples(rank_slice(rows, self._world.rank, self._world.size, self._unit))
        parts = self._objective.shares
        tokens, read, predicted, cut, *weights = self._world.all_reduce(
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
        (loss,) = self._world.all_reduce([loss])
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
        """The losses to compute. A sharded student's are as many on every rank, since each pass
        gathers weights from all: a rank that has fewer fills up with some of weight zero."""
        places = _PLACES[self.student.device.type]
        own = self._objective.losses(samples, places)
        if not self.student.sharded:
            return own
        ranks = range(self._world.size)
        counts = self._world.all_reduce([len(own) * (rank == self._world.rank) for rank in ranks])
        idle = [sample.scaled(0.0) for sample in self._samples(rows[: self._unit])]
        spare = self._objective.losses(idle, places)[0]
        return [*own, *[spare] * (int(max(counts)) - len(own))]

    def _update(self, loss: float, number: int, factor: float) -> None:
        if self.student.sharded:
            fill_absent(self._parameters)
        else:
            self._world.all_reduce_gradients(self._parameters)
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
    try:
        student.model.gradient_checkpointing_enable({"use_reentrant": False})
    except ValueError as error:
        raise InputError(f"optim.gradient_checkpointing: {error}") from error
