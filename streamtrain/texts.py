"""Learning to write targets: the loss of a language model.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch

from streamtrain.batch import Batch, Encoded, Encoder, collate, split
from streamtrain.config import Data
from streamtrain.objectives import weighted_nll
from streamtrain.seq2seq import pad_targets, target_logits
from streamtrain.student import Student
from streamtrain.text import make_example


class TextLesson:
    """The rows of a dataset as inputs and targets of a student that writes."""

    shares: Mapping[str, float] = {"": 1.0}

    def __init__(self, student: Student, encoder: Encoder, data: Data) -> None:
        self._student = student
        self._encoder = encoder
        self._data = data

    def exercises(self, row: Mapping[str, Any], weight: float) -> list[Encoded]:
        """The tokens of a row's example. Raises InputError for a row that is none."""
        return [self._encoder.example(make_example(row, self._data, weight))]

    def losses(self, exercises: Sequence[Encoded], places: int) -> Iterator[torch.Tensor]:
        """The summed weighted loss of each micro-batch."""
        for group in split(exercises, places, self._data.pack):
            if self._student.kind == "seq2seq":
                yield self._target_loss([sequence for row in group for sequence in row])
            else:
                yield self._loss(collate(group, self._student.pad).to(self._student.device))

    def _loss(self, batch: Batch) -> torch.Tensor:
        """Computed only where a target is to be predicted."""
        places = (batch.weights[:, 1:] > 0).any(dim=0).nonzero()[:, 0]
        weights, targets = batch.weights[:, places + 1], batch.ids[:, places + 1]
        chosen = weights > 0
        logits = self._student.logits(batch, places)
        return weighted_nll(logits[chosen], targets[chosen], weights[chosen])

    def _target_loss(self, sequences: Sequence[Encoded]) -> torch.Tensor:
        """The same where the target is a decoder's alone."""
        batch = pad_targets(
            self._student, [one.given for one in sequences], [one.ids for one in sequences]
        )
        weights = torch.tensor([weight for one in sequences for weight in one.weights])
        chosen = batch.wanted >= 0
        logits = target_logits(self._student, batch)[chosen]
        return weighted_nll(logits, batch.wanted[chosen], weights.to(self._student.device))
