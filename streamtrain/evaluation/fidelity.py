"""How faithfully a student follows its teacher: the same option, and how far their probabilities
are apart.

CoD (arXiv 2510.21631) asks it of originals and of counterfactuals. Knows nothing of models or of
how either answered.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from streamtrain.evaluation.statistics import bootstrap, clusters, share_interval
from streamtrain.heldout import Prediction, Question


@dataclass(frozen=True, slots=True)
class Divergence:
    """The mean KL(teacher || student) in nats over the questions of which both have probabilities,
    with the 95 % interval of a bootstrap over pairs."""

    questions: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """The share of questions that student and teacher answer with the same option.

    `low` and `high` are its 95 % interval: Wilson's, or a bootstrap over pairs where there are
    some. An answer of the student that can't be read agrees with nothing.
    """

    questions: int
    agreement: float
    low: float
    high: float
    divergence: Divergence | None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """A student beside its teacher on all questions that the teacher's answer is known of, and
    where there are both on originals and on counterfactuals; `untold` are the other questions."""

    teachers: tuple[str, ...]
    untold: int
    whole: Faithfulness
    original: Faithfulness | None
    counterfactual: Faithfulness | None

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        return asdict(self)


def compare_with_teacher(
    questions: Sequence[Question], predictions: Sequence[Prediction]
) -> Fidelity | None:
    """How the predictions compare with what is told of the teacher; None where nothing is."""
    both = zip(questions, predictions, strict=True)
    told = [(q, p) for q, p in both if q.teacher_answer is not None]
    if not told:
        return None
    parts = {
        variant: [(q, p) for q, p in told if q.variant == variant]
        for variant in ("original", "counterfactual")
    }
    split = all(parts.values())
    return Fidelity(
        tuple(
            sorted(
                {
                    q.teacher_answer.teacher
                    for q, _ in told
                    if q.teacher_answer and q.teacher_answer.teacher
                }
            )
        ),
        len(questions) - len(told),
        _faithfulness(told),
        _faithfulness(parts["original"]) if split else None,
        _faithfulness(parts["counterfactual"]) if split else None,
    )


def divergence(teacher: Sequence[float], student: Sequence[float]) -> float:
    """KL(teacher || student) in nats. A probability that the student rounds to 0 counts as the
    smallest that a float has."""
    return sum(
        p * (math.log(p) - math.log(max(q, sys.float_info.min)))
        for p, q in zip(teacher, student, strict=True)
        if p > 0
    )


def _faithfulness(told: Sequence[tuple[Question, Prediction]]) -> Faithfulness:
    same = [
        float(q.teacher_answer is not None and q.teacher_answer.choice == p.choice) for q, p in told
    ]
    low, high = share_interval(clusters(same, [q.group for q, _ in told]))
    return Faithfulness(len(told), sum(same) / len(same), low, high, _divergence(told))


def _divergence(told: Sequence[tuple[Question, Prediction]]) -> Divergence | None:
    found = [
        (q.group, divergence(q.teacher_answer.probabilities, p.probabilities))
        for q, p in told
        if q.teacher_answer is not None and q.teacher_answer.probabilities and p.probabilities
    ]
    if not found:
        return None
    values = [value for _, value in found]
    low, high = bootstrap(clusters(values, [group for group, _ in found]))
    return Divergence(len(found), sum(values) / len(values), low, high)
