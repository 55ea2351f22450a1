"""One optimizer step: from the rows of a global batch to changed weights.

The loss is sum(weight x nll) / sum(weight) over the target tokens of the *global* batch, so it is
the same for any number of ranks and micro-batches. Knows nothing of streams, files or schedules.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch

from streamtrain.batch import Batch, Encoder, collate, split
from streamtrain.config import StudentConfig
from streamtrain.errors import StreamtrainError
from streamtrain.objectives import weighted_nll
from streamtrain.stream import rank_slice
from streamtrain.student import Student
from streamtrain.text import make_example
from streamtrain.units import PAIR, SHARE
from streamtrain.world import World

_PLACES = {"cpu": 1024, "cuda": 8192}
"""Token places in one forward pass; on a CPU a small one is as fast and pads less."""


@dataclass(frozen=True, slots=True)
class Step:
    """What one step did: loss of the global batch, its tokens, cut examples, seconds."""

    loss: float
    tokens: int
    cut: int
    seconds: float


class Learner:
    """A student with its optimizer, on one rank of a world."""

    def __init__(
        self, student: Student, encoder: Encoder, config: StudentConfig, world: World
    ) -> None:
        self.student = student
        self.encoder = encoder
        self._config = config
        self._world = world
        self._parameters = [parameter for _, parameter in student.trainable()]
        optim = config.optim
        self.optimizer = torch.optim.AdamW(
            self._parameters, lr=optim.lr, eps=optim.eps, weight_decay=optim.weight_decay
        )

    def step(self, rows: Sequence[Mapping[str, Any]], number: int, factor: float) -> Step:
        """Learn from a global batch, of which this rank takes its slice; `number` counts steps
        from 0 and `factor` is the schedule's.

        Raises InputError for a row that is no example, StreamtrainError where the loss is no
        number any more (the weights are as before then).
        """
        began = time.perf_counter()
        # Dropout is drawn anew from the step's number, so that a resumed run draws the same.
        torch.manual_seed(self._config.stream.seed + (number << 16) + (self._world.rank << 50))
        self.student.model.train()
        data = self._config.data
        unit = len(PAIR) if data.pairs else 1
        mine = [
            self.encoder.example(make_example(row, data, self._weight(row)))
            for row in rank_slice(rows, self._world.rank, self._world.size, unit)
        ]
        weight, tokens, cut = self._world.total(
            [
                sum(sequence.weight for sequence in mine),
                sum(len(sequence.ids) for sequence in mine),
                sum(sequence.cut for sequence in mine),
            ]
        )
        # A batch whose every weighted token was cut off teaches nothing, but is no error.
        divisor = weight or 1.0
        loss = 0.0
        for group in split(mine, _PLACES[self.student.device.type], data.pack):
            batch = collate(group, self.student.pad).to(self.student.device)
            part = self._loss_sum(batch) / divisor
            part.backward()
            loss += part.item()
        (loss,) = self._world.total([loss])
        self._update(loss, number, factor)
        return Step(loss, int(tokens), int(cut), time.perf_counter() - began)

    def _loss_sum(self, batch: Batch) -> torch.Tensor:
        """The summed weighted loss of a micro-batch, computed where a target is to be predicted."""
        places = (batch.weights[:, 1:] > 0).any(dim=0).nonzero()[:, 0]
        weights, targets = batch.weights[:, places + 1], batch.ids[:, places + 1]
        chosen = weights > 0
        logits = self.student.logits(batch, places)
        return weighted_nll(logits[chosen], targets[chosen], weights[chosen])

    def _update(self, loss: float, number: int, factor: float) -> None:
        self._world.add_gradients(self._parameters)
        clip = self._config.optim.clip
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, clip or math.inf)
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
