"""The lens: after which layer a student knows the label.

Every layer's state at the position before the label is read as if the later layers weren't there,
by the logit lens or a tuned one. What counts is the first token of the gold label. Knows nothing of
training a student.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from streamtrain.errors import InputError
from streamtrain.heldout import Question
from streamtrain.lens.layers import LayerReader, LensInput
from streamtrain.lens.student import LensStudent, load_lens_student
from streamtrain.lens.translators import LayerTranslators
from streamtrain.lens.tuned_lens import TunedLens, TuningOptions, tuned_lens
from streamtrain.tables import TextTable


@dataclass(frozen=True, slots=True)
class LabelCurves:
    """A student's probability of the gold label after each of its layers, by question; `tuned` is
    its tuned lens if they were read by one."""

    label: str
    of: Mapping[str, tuple[float, ...]]
    tuned: TunedLens | None = None

    @property
    def layers(self) -> int:
        """The number of layers."""
        return len(next(iter(self.of.values())))

    def mean(self) -> list[float]:
        """Compute the mean over the questions, for each layer."""
        return [float(value) for value in np.mean(list(self.of.values()), axis=0)]

    def first_above(self, threshold: float) -> list[int | None]:
        """Find for each question the first layer, counted from 1, above the threshold; None if none
        is."""
        return [
            next((layer for layer, p in enumerate(curve, 1) if p > threshold), None)
            for curve in self.of.values()
        ]

    def to_json(self, threshold: float) -> dict[str, Any]:
        """Convert to plain data."""
        return {
            "student": self.label,
            "questions": {key: list(curve) for key, curve in self.of.items()},
            "mean": self.mean(),
            "first_above": self.first_above(threshold),
            "tuned": self.tuned.to_json() if self.tuned else None,
        }


def read_curves(
    folders: Sequence[Path], questions: Sequence[Question], tuning: TuningOptions | None = None
) -> list[LabelCurves]:
    """Read the students' curves over the questions that all of them answer rightly.

    Raises InputError if there is no such question, or a student has no lens.
    """
    curves = []
    for folder in folders:
        lens_student = load_lens_student(folder)
        tuned = tuned_lens(lens_student, questions, tuning) if tuning else None
        curves.append(
            LabelCurves(lens_student.label, _right(lens_student, questions, tuned), tuned)
        )
    return common_curves(curves)


def common_curves(curves: Sequence[LabelCurves]) -> list[LabelCurves]:
    """Restrict curves to the questions that all have. Raises InputError if there is none."""
    keys = [key for key in curves[0].of if all(key in each.of for each in curves)]
    if not keys:
        raise InputError(
            "no question is answered rightly by all of these students, so there is nothing to "
            "look at; give more questions or fewer students"
        )
    return [
        LabelCurves(each.label, {key: each.of[key] for key in keys}, each.tuned) for each in curves
    ]


def label_curve(
    reader: LayerReader, passage: LensInput, token: int, translators: LayerTranslators | None = None
) -> tuple[float, ...]:
    """Compute the probability of `token` as the next one, after each layer."""
    states = reader.states(passage)[:, -1:]
    with torch.no_grad():
        read = reader.logits(translators(states) if translators else states)
    return tuple(float(p) for p in read[:, 0].softmax(dim=-1)[:, token])


def first_layer_summary(curves: Sequence[LabelCurves], threshold: float) -> TextTable:
    """Tabulate quartiles of the first layer above the threshold, for each student."""
    columns = ("student", "questions", "layers", "first quartile", "median", "third quartile")
    return TextTable((*columns, "never"), tuple(_row(each, threshold) for each in curves))


def by_layer(curves: Sequence[LabelCurves]) -> TextTable:
    """Tabulate the mean probability of the label after each layer; cells past the last are
    empty."""
    return _layers([(each.label, each.mean()) for each in curves])


def divergence_by_layer(curves: Sequence[LabelCurves]) -> TextTable:
    """Tabulate the divergence of each layer's readout from the student's output on held-out texts,
    for both lenses, in nats."""
    return _layers(
        [
            (f"{each.label}, {lens}", values)
            for each in curves
            if each.tuned is not None
            for lens, values in (("logit", each.tuned.logit), ("tuned", each.tuned.tuned))
        ]
    )


def _layers(columns: Sequence[tuple[str, Sequence[float]]]) -> TextTable:
    rows = tuple(
        (
            str(layer + 1),
            *(f"{values[layer]:.3f}" if layer < len(values) else "" for _, values in columns),
        )
        for layer in range(max(len(values) for _, values in columns))
    )
    return TextTable(("layer", *(name for name, _ in columns)), rows)


def _right(
    lens_student: LensStudent, questions: Sequence[Question], tuned: TunedLens | None
) -> dict[str, tuple[float, ...]]:
    """Compute the curves of the questions that a student answers rightly."""
    right = {}
    for question, answer in zip(questions, lens_student.answers(questions), strict=True):
        if answer.choice == question.answer:
            passage, options = lens_student.before_label(question, answer)
            right[question.key] = label_curve(
                lens_student.reader,
                passage,
                options[question.answer][0],
                tuned.translators if tuned else None,
            )
    return right


def _row(curves: LabelCurves, threshold: float) -> tuple[str, ...]:
    first = curves.first_above(threshold)
    # A question that is never sure comes after all that are: it must not make a student look early.
    numbers = [layer if layer is not None else curves.layers + 1 for layer in first]
    quartiles = np.percentile(numbers, [25, 50, 75], method="higher")
    cells = ("never" if q > curves.layers else f"{q:g}" for q in quartiles)
    never = sum(layer is None for layer in first)
    return (curves.label, str(len(first)), str(curves.layers), *cells, str(never))
