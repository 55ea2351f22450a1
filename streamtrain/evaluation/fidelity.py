"""How faithfully a student follows its teacher: the same option, and how far their probabilities
are apart (CoD, arXiv 2510.21631).

Also shows it: a table of its own after an evaluation, columns where runs are compared. Knows
nothing of models or of how either answered.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import PurePath
from typing import Any

from streamtrain.evaluation.statistics import bootstrap, clusters, share_interval
from streamtrain.heldout import Prediction, Question
from streamtrain.tables import TextTable

_PARTS = {"whole": "all", "original": "original", "counterfactual": "counterfactual"}


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


def fidelity_table(sets: Mapping[str, Mapping[str, Any]]) -> TextTable | None:
    """A row for all, for the originals and for the counterfactuals of each set, from its figures;
    None where no set has some."""
    rows = []
    for name, figures in sets.items():
        found = figures.get("fidelity") or {}
        for part, words in _PARTS.items():
            if one := found.get(part):
                untold = str(found["untold"]) if part == "whole" else ""
                shown = (str(one["questions"]), untold, _share(one), _nats(one["divergence"]))
                rows.append((name, _teachers(found), words, *shown))
    columns = ("set", "teacher", "of", "questions", "untold", "agreement", "KL(teacher || student)")
    # The last column is empty where nothing but the teacher's options is known.
    width = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    return TextTable(columns[:width], tuple(row[:width] for row in rows)) if rows else None


def fidelity_columns(
    sets: Sequence[Mapping[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, list[str]]]:
    """For several runs, each with the figures of its sets: columns with a cell for each run."""
    found = [
        (name, figures["fidelity"])
        for run in sets
        for name, figures in run.items()
        if figures.get("fidelity")
    ]
    for name, teacher in dict.fromkeys((name, _teachers(one)) for name, one in found):
        of_runs = [_with_teacher(run.get(name, {}), teacher) for run in sets]
        for part, words in _PARTS.items():
            parts = [one.get(part) for one in of_runs]
            if not any(parts):
                continue
            what = ", ".join([name] if part == "whole" else [name, words])
            yield f"{what}, agreement with {teacher}", [_share(one) for one in parts]
            divergences = [one["divergence"] if one else None for one in parts]
            if any(divergences):
                yield f"{what}, KL from {teacher}", [_nats(one) for one in divergences]


def _with_teacher(figures: Mapping[str, Any], teacher: str) -> Mapping[str, Any]:
    found: Mapping[str, Any] = figures.get("fidelity") or {}
    return found if found and _teachers(found) == teacher else {}


def _teachers(found: Mapping[str, Any]) -> str:
    names = (PurePath(name).name if name.startswith("/") else name for name in found["teachers"])
    return " + ".join(names) or "teacher"


def _share(part: Mapping[str, Any] | None) -> str:
    return f"{part['agreement']:.1%} [{part['low']:.1%}, {part['high']:.1%}]" if part else ""


def _nats(part: Mapping[str, Any] | None) -> str:
    return f"{part['mean']:.3f} [{part['low']:.3f}, {part['high']:.3f}]" if part else ""
