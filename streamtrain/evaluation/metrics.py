"""Metrics of predictions: accuracy with an interval, contrast pairs, calibration.

An answer that couldn't be parsed is wrong, and counted. Knows nothing of models or of how answers
came about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from raygen.core import wilson
from streamtrain.evaluation.fidelity import Fidelity, compare_with_teacher
from streamtrain.evaluation.statistics import calibration_error, clusters, share_interval
from streamtrain.heldout import Prediction, Question


@dataclass(frozen=True, slots=True)
class Contrast:
    """Accuracy on originals and on their counterfactuals, and the share of pairs with both right,
    with its 95 % interval."""

    pairs: int
    original: float
    counterfactual: float
    both: float
    both_low: float
    both_high: float


@dataclass(frozen=True, slots=True)
class Evaluation:
    """The metrics of a set of predictions.

    `low` and `high` are the 95 % interval of the accuracy: Wilson's, or a bootstrap over pairs if
    questions come in pairs. `chance` is the accuracy of guessing. `calibration` is the expected
    calibration error over the questions whose options have probabilities. `fidelity` is None if no
    teacher's answer is known. `invalid` counts rows of the set that are left out since they don't
    fit their task.
    """

    accuracy: float
    correct: int
    total: int
    unparsed: int
    low: float
    high: float
    chance: float
    calibration: float | None
    contrast: Contrast | None
    fidelity: Fidelity | None
    predictions: tuple[Prediction, ...]
    invalid: int = 0

    def to_json(self, predictions: bool = True) -> dict[str, Any]:
        """Convert to plain data, with or without the predictions."""
        data = asdict(self)
        data["predictions"] = [prediction.to_json() for prediction in self.predictions]
        if not predictions:
            del data["predictions"]
        if self.fidelity is None:
            del data["fidelity"]
        if not self.invalid:
            del data["invalid"]
        return data


def score_predictions(
    questions: Sequence[Question], predictions: Sequence[Prediction]
) -> Evaluation:
    """Score one prediction for each question. At least one question."""
    right = hits(questions, predictions)
    pairs = _pairs(questions)
    correct, total = sum(right), len(questions)
    hit = [float(correct_answer) for correct_answer in right]
    low, high = share_interval(clusters(hit, [question.group for question in questions]))
    return Evaluation(
        correct / total,
        correct,
        total,
        sum(prediction.choice is None for prediction in predictions),
        low,
        high,
        sum(1 / len(question.choices) for question in questions) / total,
        _calibration(questions, predictions),
        _contrast(questions, right, pairs) if pairs else None,
        compare_with_teacher(questions, predictions),
        tuple(predictions),
    )


def hits(questions: Sequence[Question], predictions: Sequence[Prediction]) -> list[bool]:
    """Tell for each question whether its prediction is right."""
    both = zip(questions, predictions, strict=True)
    return [question.answer == prediction.choice for question, prediction in both]


def _pairs(questions: Sequence[Question]) -> list[list[int]]:
    """List the groups, as indices of questions, that have an original and a counterfactual."""
    groups: dict[str, list[int]] = {}
    for number, question in enumerate(questions):
        if question.group is not None:
            groups.setdefault(question.group, []).append(number)
    return [
        group
        for group in groups.values()
        if {questions[number].variant for number in group} == {"original", "counterfactual"}
    ]


def _contrast(
    questions: Sequence[Question], right: Sequence[bool], pairs: Sequence[Sequence[int]]
) -> Contrast:
    def share(variant: str) -> float:
        hits = [right[n] for pair in pairs for n in pair if questions[n].variant == variant]
        return sum(hits) / len(hits)

    both_right = sum(all(right[number] for number in pair) for pair in pairs)
    low, high = wilson(both_right, len(pairs))
    return Contrast(
        len(pairs), share("original"), share("counterfactual"), both_right / len(pairs), low, high
    )


def _calibration(questions: Sequence[Question], predictions: Sequence[Prediction]) -> float | None:
    sure = [
        (prediction.probabilities[prediction.choice], prediction.choice == question.answer)
        for question, prediction in zip(questions, predictions, strict=True)
        if prediction.probabilities is not None and prediction.choice is not None
    ]
    if not sure:
        return None
    return calibration_error([confidence for confidence, _ in sure], [hit for _, hit in sure])
