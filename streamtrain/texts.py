"""Learning to write targets: the loss of a language model.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import torch

from streamtrain.batch import Batch, Encoded, Encoder, collate, split
from streamtrain.config import StudentConfig
from streamtrain.objectives import weighted_nll
from streamtrain.seq2seq import pad_targets, target_logits
from streamtrain.student import Student
from streamtrain.text import make_example, make_factual, make_tasks


class TextLesson:
    """The rows of a dataset as inputs and targets of a student that writes."""

    def __init__(self, student: Student, encoder: Encoder, config: StudentConfig) -> None:
        self._student = student
        self._encoder = encoder
        self._data = config.data
        own, counterfactual = config.objective.label_share, config.objective.counterfactual_share
        self._shares = {"": 1.0}
        if self._data.form.placement == "task":
            self._shares = {"label": own, "rationale": 1 - own}
        elif counterfactual is not None:
            self._shares = {"factual": 1 - counterfactual, "counterfactual": counterfactual}

    @property
    def shares(self) -> Mapping[str, float]:
        """What each part of the loss weighs."""
        return self._shares

    def exercises(self, row: Mapping[str, Any], weight: float) -> list[Encoded]:
        """The tokens of a row's examples. Raises InputError for a row that is none."""
        if "rationale" in self._shares:
            examples = make_tasks(row, self._data, weight)
        elif "factual" in self._shares:
            examples = [make_factual(row, self._data, weight)]
        else:
            examples = [make_example(row, self._data, weight)]
        return [self._encoder.example(example) for example in examples]

    def losses(self, exercises: Sequence[Encoded], places: int) -> list[Callable[[], torch.Tensor]]:
        """The summed weighted loss of each micro-batch."""
        groups = split(exercises, places, self._data.pack)
        return [partial(self._group_loss, group) for group in groups]

    def _group_loss(self, group: Sequence[Sequence[Encoded]]) -> torch.Tensor:
        if self._student.kind == "seq2seq":
            return self._target_loss([sequence for row in group for sequence in row])
        batch = collate(group, self._student.pad, self._student.flash)
        return self._loss(batch.to(self._student.device))

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
