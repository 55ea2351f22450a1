"""A classifier's teacher: its predictions recorded in the dataset, or the model itself.

Classes are matched by name, never by index. Knows nothing of losses.
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
    """A trained classifier, and the `order` that permutes its outputs into that of the labels."""

    model: Student
    order: tuple[int, ...]

    @property
    def layers(self) -> int:
        """The number of its layers."""
        return int(self.model.model.config.num_hidden_layers)

    @property
    def width(self) -> int:
        """The width of its hidden states."""
        return int(self.model.model.config.hidden_size)

    def classify(self, texts: ClassifierInputs, hidden: bool) -> ClassifierOutputs:
        """Compute log-probabilities, in the order of the labels, and hidden states on request."""
        with torch.no_grad():
            outputs = classify(self.model, texts, hidden)
        return replace(
            outputs, logits=torch.log_softmax(outputs.logits[:, list(self.order)], dim=-1)
        )


def load_teacher(
    source: ModelSource, labels: Sequence[str], tokenizer: Any, device: torch.device
) -> TeacherClassifier:
    """Load a frozen classifier; `tokenizer` is the student's.

    Raises InputError if its classes are not `labels`, or if its vocabulary differs from the
    student's.
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


def label_order(model: Student, labels: Sequence[str], subject: str) -> tuple[int, ...]:
    """Find the output index of each label in a classifier.

    Raises InputError, beginning with `subject`, if its classes are others.
    """
    names = [str(model.model.config.id2label[n]) for n in range(model.model.config.num_labels)]
    outputs = {name.casefold(): output for output, name in enumerate(names)}
    expected = [label.casefold() for label in labels]
    if sorted(outputs) != sorted(expected):
        raise InputError(
            f"{subject}: its classes are {', '.join(names)}; expected those of data.labels "
            f"({', '.join(labels)}); name them in its config.json (id2label)"
        )
    return tuple(outputs[label] for label in expected)


def load_run_teacher(job: RunSpec, student: Student) -> TeacherClassifier | None:
    """Load the teacher of a run; None if the run needs none."""
    teacher = job.config.objective.teacher
    if job.teacher is None or teacher is None:
        return None
    source = ModelSource(job.teacher, teacher.revision, "classifier")
    return load_teacher(source, job.config.data.labels or (), student.tokenizer, student.device)


def layer_pairs(student: int, teacher: int) -> list[tuple[int, int]]:
    """Pair every second layer of the teacher with the student's at the same relative depth; returns
    (student's, teacher's), counted from 1."""
    return [(max(1, round(n * student / teacher)), n) for n in range(2, teacher + 1, 2)]


def recorded_log_probabilities(
    row: Mapping[str, Any], labels: Sequence[str], teacher: str
) -> list[float]:
    """Read the log-probabilities that a row records of `teacher`, in the order of the labels.

    Raises InputError if they are another teacher's, or for other classes.
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
    recorded = row["soft_labels"]
    recorded = json.loads(recorded) if isinstance(recorded, str) else recorded
    if not isinstance(recorded, Mapping) or set(recorded) != set(labels):
        raise InputError(
            f"{name}: soft_labels is {recorded!r}; expected a log-probability for each of "
            f"data.labels ({', '.join(labels)})"
        )
    values = [recorded[label] for label in labels]
    if not all(isinstance(value, int | float) and math.isfinite(value) for value in values):
        raise InputError(f"{name}: soft_labels is {recorded!r}; expected finite log-probabilities")
    return [float(value) for value in values]


def with_projections(
    student: Student, teacher: TeacherClassifier, config: StudentConfig
) -> Student:
    """Add a linear projection, trained with the student, for each pair of compared layers.

    Raises InputError for a layer that one of the models lacks.
    """
    student_config = student.model.config
    for mine, theirs in config.objective.layers or ():
        if mine > student_config.num_hidden_layers or theirs > teacher.layers:
            raise InputError(
                f"objective.layers: found [{mine}, {theirs}]; the student has "
                f"{student_config.num_hidden_layers} layers and the teacher {teacher.layers}"
            )
    pairs = compared_layers(student, teacher, config)
    linear = [torch.nn.Linear(student_config.hidden_size, teacher.width) for _ in pairs]
    return replace(student, projections=torch.nn.ModuleList(linear).to(student.device))


def compared_layers(
    student: Student, teacher: TeacherClassifier, config: StudentConfig
) -> Sequence[tuple[int, int]]:
    """List the (student, teacher) layers whose hidden states are compared."""
    student_layers = student.model.config.num_hidden_layers
    return config.objective.layers or layer_pairs(student_layers, teacher.layers)
