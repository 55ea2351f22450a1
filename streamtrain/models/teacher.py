"""The teacher of a classifier: what the dataset recorded of it, or the model itself.

Classes are matched by their names, never by their places. Knows nothing of losses.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from streamtrain.config import StudentConfig
from streamtrain.errors import InputError
from streamtrain.models.classifier import ClassifierInputs, ClassifierOutputs, classify
from streamtrain.models.student import ModelSource, Student, load_student
from streamtrain.run import RunSpec


@dataclass(frozen=True, slots=True)
class TeacherClassifier:
    """A trained classifier whose `order` brings its outputs into the order of the labels."""

    model: Student
    order: tuple[int, ...]

    @property
    def layers(self) -> int:
        """How many layers it has."""
        return int(self.model.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """The size of its hidden states."""
        return int(self.model.model.config.hidden_size)

    def classify(self, texts: ClassifierInputs, hidden: bool) -> ClassifierOutputs:
        """Its log-probabilities, in the order of the labels, and its hidden states."""
        with torch.no_grad():
            found = classify(self.model, texts, hidden)
        return replace(found, logits=torch.log_softmax(found.logits[:, list(self.order)], dim=-1))


def load_teacher(
    source: ModelSource, labels: Sequence[str], tokenizer: Any, device: torch.device
) -> TeacherClassifier:
    """The classifier of a source, frozen; `tokenizer` is the student's.

    Raises InputError where its classes are not those `labels`, or it reads other tokens.
    """
    model = load_student(source, None, device)
    model.model.eval().requires_grad_(False)
    order = label_order(model, labels, f"objective.teacher {source.model!r}")
    if model.tokenizer.get_vocab() != tokenizer.get_vocab():
        raise InputError(
            f"objective.teacher: {source.model!r} has another tokenizer than the student; use the "
            "dataset's soft labels (soft_labels: dataset, beta: 0), or a teacher that shares it"
        )
    return TeacherClassifier(model, order)


def label_order(model: Student, labels: Sequence[str], said: str) -> tuple[int, ...]:
    """Where each of the labels stands among a classifier's outputs.

    Raises InputError, which begins with what is `said` of it, where its classes are others.
    """
    names = [str(model.model.config.id2label[n]) for n in range(model.model.config.num_labels)]
    places = {name.casefold(): place for place, name in enumerate(names)}
    wanted = [label.casefold() for label in labels]
    if sorted(places) != sorted(wanted):
        raise InputError(
            f"{said}: its classes are {', '.join(names)}; expected those of data.labels "
            f"({', '.join(labels)}); name them in its config.json (id2label)"
        )
    return tuple(places[label] for label in wanted)


def load_run_teacher(job: RunSpec, student: Student) -> TeacherClassifier | None:
    """The teacher that a run's student imitates, loaded; None where none has to be asked."""
    teacher = job.config.objective.teacher
    if job.teacher is None or teacher is None:
        return None
    source = ModelSource(job.teacher, teacher.revision, "classifier")
    return load_teacher(source, job.config.data.labels or (), student.tokenizer, student.device)


def layer_pairs(student: int, teacher: int) -> list[tuple[int, int]]:
    """Every second of the teacher's layers, counted from 1, with the student's at the same share
    of its depth: (student's, teacher's)."""
    return [(max(1, round(n * student / teacher)), n) for n in range(2, teacher + 1, 2)]


def recorded_log_probabilities(
    row: Mapping[str, Any], labels: Sequence[str], teacher: str
) -> list[float]:
    """The log-probabilities that a row has of its `soft_labels_teacher`, in the labels' order.

    Raises InputError where they are another teacher's, or not those of the labels.
    """
    name = f"example {row.get('id', '(without id)')} of the dataset"
    if row.get("soft_labels") is None:
        raise InputError(
            f"{name} has no soft_labels; add the op soft_labels to the recipe, or ask the teacher "
            "itself with objective.soft_labels: teacher"
        )
    if row.get("soft_labels_teacher") != teacher:
        raise InputError(
            f"{name}: its soft labels are those of {row.get('soft_labels_teacher')!r}; "
            f"objective.teacher names {teacher!r}"
        )
    found = row["soft_labels"]
    found = json.loads(found) if isinstance(found, str) else found
    if not isinstance(found, Mapping) or set(found) != set(labels):
        raise InputError(
            f"{name}: soft_labels is {found!r}; expected a log-probability for each of data.labels "
            f"({', '.join(labels)})"
        )
    values = [found[label] for label in labels]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise InputError(f"{name}: soft_labels is {found!r}; expected finite log-probabilities")
    return [float(value) for value in values]


def with_projections(
    student: Student, teacher: TeacherClassifier, config: StudentConfig
) -> Student:
    """The student with a linear projection, to be trained with it, for each pair of layers.

    Raises InputError for a layer that one of them doesn't have.
    """
    own = student.model.config
    for mine, theirs in config.objective.layers or ():
        if mine > own.num_hidden_layers or theirs > teacher.layers:
            raise InputError(
                f"objective.layers: found [{mine}, {theirs}]; the student has "
                f"{own.num_hidden_layers} layers and the teacher {teacher.layers}"
            )
    pairs = compared_layers(student, teacher, config)
    linear = [torch.nn.Linear(own.hidden_size, teacher.width) for _ in pairs]
    return replace(student, projections=torch.nn.ModuleList(linear).to(student.device))


def compared_layers(
    student: Student, teacher: TeacherClassifier, config: StudentConfig
) -> Sequence[tuple[int, int]]:
    """The (student's, teacher's) layers whose hidden states are compared."""
    own = student.model.config.num_hidden_layers
    return config.objective.layers or layer_pairs(own, teacher.layers)
