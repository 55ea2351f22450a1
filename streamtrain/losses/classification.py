"""The objective of a classifier: cross-entropy, and distillation from a teacher.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import torch

from streamtrain.config import StudentConfig
from streamtrain.data import ExampleTokenizer, class_text, group_by_length
from streamtrain.errors import InputError
from streamtrain.losses.functional import (
    class_losses,
    kl_divergences,
    layer_distances,
    paired_losses,
)
from streamtrain.models import (
    ClassifierInputs,
    ClassifierOutputs,
    Student,
    TeacherClassifier,
    classify,
    compared_layers,
    pad_texts,
    recorded_log_probabilities,
)


@dataclass(frozen=True, slots=True)
class ClassificationSample:
    """The token ids of a text and the index of its class; `soft` are a teacher's log-probabilities
    (classes,)."""

    ids: tuple[int, ...]
    label: int
    weight: float
    cut: bool
    soft: tuple[float, ...] = ()
    part: str = ""
    read = 0
    predicted = 1

    @property
    def tokens(self) -> int:
        """The number of its tokens."""
        return len(self.ids)

    def scaled(self, factor: float) -> ClassificationSample:
        """Return a copy with its weight multiplied by `factor`."""
        return replace(self, weight=self.weight * factor)


CLASS_ALPHA = 20.0
"""Default weight of the divergence from the teacher (arXiv 2510.21631)."""


class ClassificationObjective:
    """Classification of labelled texts; the halves of a pair are adjacent."""

    shares: Mapping[str, float] = {"": 1.0}

    def __init__(
        self,
        student: Student,
        tokenizer: ExampleTokenizer,
        config: StudentConfig,
        teacher: TeacherClassifier | None,
    ) -> None:
        """Train `student` on the classes of `config`.

        `tokenizer` is the student's. `teacher` computes soft labels or hidden states to distill
        from; None if the dataset records all that is needed.
        """
        self._student = student
        self._tokenizer = tokenizer
        self._objective = config.objective
        self._alpha = config.objective.divergence_weight(CLASS_ALPHA)
        self._data = config.data
        self._labels = config.data.labels or ()
        self._teacher = teacher
        self._layers = (
            compared_layers(student, teacher, config) if teacher and student.projections else ()
        )

    def samples(self, row: Mapping[str, Any], weight: float) -> list[ClassificationSample]:
        """Tokenize the text of a row. Raises InputError if it has none, or an unknown class."""
        text, label, objective = row.get("text"), row.get("label"), self._objective
        name = f"example {row.get('id', '(without id)')} of the dataset"
        if not isinstance(text, str) or not text.strip():
            raise InputError(f"{name}: text is {text!r}; expected a text")
        if label not in self._labels:
            known = ", ".join(self._labels)
            raise InputError(f"{name}: label is {label!r}; expected one of data.labels ({known})")
        soft: Sequence[float] = ()
        if objective.loss == "kd" and self._alpha > 0 and objective.soft_labels == "dataset":
            assert objective.teacher is not None  # noqa: S101 - the objective's own rule
            soft = recorded_log_probabilities(row, self._labels, objective.teacher.name)
        ids, cut = self._tokenizer.text(class_text(self._data, text))
        return [
            ClassificationSample(tuple(ids), self._labels.index(label), weight, cut, tuple(soft))
        ]

    def losses(
        self, samples: Sequence[ClassificationSample], capacity: int
    ) -> list[Callable[[], torch.Tensor]]:
        """Split samples into micro-batches, keeping the halves of a pair in one; see
        `Objective`."""
        size = 1 if self._objective.paired is None else 2
        units = [samples[at : at + size] for at in range(0, len(samples), size)]
        lengths = [size * max(sample.tokens for sample in unit) for unit in units]
        return [
            partial(self._loss, [sample for number in group for sample in units[number]])
            for group in group_by_length(lengths, capacity)
        ]

    def _loss(self, batch: Sequence[ClassificationSample]) -> torch.Tensor:
        device = self._student.device
        texts = pad_texts([sample.ids for sample in batch], self._student.pad, device)
        labels = torch.tensor([sample.label for sample in batch], device=device)
        weights = torch.tensor([sample.weight for sample in batch], device=device)
        outputs = classify(self._student, texts, hidden=bool(self._layers))
        losses = class_losses(outputs.logits, labels)
        if self._objective.paired is None:
            loss = (losses * weights).sum()
        else:
            pairs = paired_losses(losses[::2], losses[1::2], self._objective.paired)
            loss = (pairs * (weights[::2] + weights[1::2])).sum()
        if self._objective.loss == "kd":
            loss = loss + (self._imitation(batch, texts, outputs) * weights).sum()
        return loss

    def _imitation(
        self,
        batch: Sequence[ClassificationSample],
        texts: ClassifierInputs,
        outputs: ClassifierOutputs,
    ) -> torch.Tensor:
        """Compute alpha KL + beta MSE of each text, (N,)."""
        objective, teacher_outputs = self._objective, ClassifierOutputs(outputs.logits)
        if self._teacher is not None:
            teacher_outputs = self._teacher.classify(texts, hidden=bool(self._layers))
        soft = teacher_outputs.logits
        if objective.soft_labels == "dataset" and self._alpha > 0:
            soft = torch.tensor([sample.soft for sample in batch], device=texts.ids.device)
        losses = torch.zeros(len(batch), device=texts.ids.device)
        if self._alpha > 0:
            losses = losses + self._alpha * kl_divergences(
                outputs.logits, soft, objective.temperature
            )
        if self._layers and self._student.projections is not None:
            with self._student.precision():
                student_layers = [
                    project(outputs.hidden[student_layer])
                    for project, (student_layer, _) in zip(
                        self._student.projections, self._layers, strict=True
                    )
                ]
            teacher_layers = [teacher_outputs.hidden[layer] for _, layer in self._layers]
            losses = losses + objective.beta * layer_distances(
                student_layers, teacher_layers, texts.mask
            )
        return losses
