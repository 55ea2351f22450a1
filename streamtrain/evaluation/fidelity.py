"""Fidelity of a student to its teacher: agreement of their options, and the divergence of their
probabilities (CoD, arXiv 2510.21631).

Also shows it, as a table after an evaluation and as columns where runs are compared. Knows nothing
of models or of how either answered.
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
    """Mean KL(teacher || student) in nats over the questions for which both have probabilities,
    with the 95 % interval of a bootstrap over pairs."""

    questions: int
    mean: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Faithfulness:
    """The share of questions that student and teacher answer with the same option.

    `low` and `high` are its 95 % interval: Wilson's, or a bootstrap over pairs if there are any. An
    answer that couldn't be parsed agrees with nothing.
    """

    questions: int
    agreement: float
    low: float
    high: float
    divergence: Divergence | None


@dataclass(frozen=True, slots=True)
class Fidelity:
    """Fidelity on all questions with a known teacher's answer, and on originals and counterfactuals
    if there are both; `untold` counts the other questions."""

    teachers: tuple[str, ...]
    untold: int
    whole: Faithfulness
    original: Faithfulness | None
    counterfactual: Faithfulness | None

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        return asdict(self)


def compare_with_teacher(
    questions: Sequence[Question], predictions: Sequence[Prediction]
) -> Fidelity | None:
    """Compare predictions with the recorded teacher's answers; None if none is recorded."""
    both = zip(questions, predictions, strict=True)
    answered = [(q, p) for q, p in both if q.teacher_answer is not None]
    if not answered:
        return None
    parts = {
        variant: [(q, p) for q, p in answered if q.variant == variant]
        for variant in ("original", "counterfactual")
    }
    split = all(parts.values())
    return Fidelity(
        tuple(
            sorted(
                {
                    q.teacher_answer.teacher
                    for q, _ in answered
                    if q.teacher_answer and q.teacher_answer.teacher
                }
            )
        ),
        len(questions) - len(answered),
        _faithfulness(answered),
        _faithfulness(parts["original"]) if split else None,
        _faithfulness(parts["counterfactual"]) if split else None,
    )


def divergence(teacher: Sequence[float], student: Sequence[float]) -> float:
    """Compute KL(teacher || student) in nats. A probability that the student rounds to 0 counts as
    the smallest positive float."""
    return sum(
        p * (math.log(p) - math.log(max(q, sys.float_info.min)))
        for p, q in zip(teacher, student, strict=True)
        if p > 0
    )


def _faithfulness(answered: Sequence[tuple[Question, Prediction]]) -> Faithfulness:
    same = [
        float(q.teacher_answer is not None and q.teacher_answer.choice == p.choice)
        for q, p in answered
    ]
    low, high = share_interval(clusters(same, [q.group for q, _ in answered]))
    return Faithfulness(len(answered), sum(same) / len(same), low, high, _divergence(answered))


def _divergence(answered: Sequence[tuple[Question, Prediction]]) -> Divergence | None:
    divergences = [
        (q.group, divergence(q.teacher_answer.probabilities, p.probabilities))
        for q, p in answered
        if q.teacher_answer is not None and q.teacher_answer.probabilities and p.probabilities
    ]
    if not divergences:
        return None
    values = [value for _, value in divergences]
    low, high = bootstrap(clusters(values, [group for group, _ in divergences]))
    return Divergence(len(divergences), sum(values) / len(values), low, high)


def fidelity_table(sets: Mapping[str, Mapping[str, Any]]) -> TextTable | None:
    """Tabulate the figures of each set, for all questions, originals and counterfactuals; None if
    no set has any."""
    rows = []
    for name, figures in sets.items():
        fidelity = figures.get("fidelity") or {}
        for part, words in _PARTS.items():
            if part_figures := fidelity.get(part):
                untold = str(fidelity["untold"]) if part == "whole" else ""
                shown = (
                    str(part_figures["questions"]),
                    untold,
                    _share(part_figures),
                    _nats(part_figures["divergence"]),
                )
                rows.append((name, _teachers(fidelity), words, *shown))
    columns = ("set", "teacher", "of", "questions", "untold", "agreement", "KL(teacher || student)")
    # The last column is empty where nothing but the teacher's options is known.
    width = len(columns) if any(row[-1] for row in rows) else len(columns) - 1
    return TextTable(columns[:width], tuple(row[:width] for row in rows)) if rows else None


def fidelity_columns(
    sets: Sequence[Mapping[str, Mapping[str, Any]]],
) -> Iterator[tuple[str, list[str]]]:
    """Yield columns over several runs, each given by the figures of its sets: a title, and a cell
    per run."""
    fidelities = [
        (name, figures["fidelity"])
        for run in sets
        for name, figures in run.items()
        if figures.get("fidelity")
    ]
    for name, teacher in dict.fromkeys((name, _teachers(each)) for name, each in fidelities):
        of_runs = [_with_teacher(run.get(name, {}), teacher) for run in sets]
        for part, words in _PARTS.items():
            parts = [each.get(part) for each in of_runs]
            if not any(parts):
                continue
            what = ", ".join([name] if part == "whole" else [name, words])
            yield (
                f"{what}, agreement with {teacher}",
                [_share(each) for each in parts],
            )
            divergences = [each["divergence"] if each else None for each in parts]
            if any(divergences):
                yield (
                    f"{what}, KL from {teacher}",
                    [_nats(each) for each in divergences],
                )


def _with_teacher(figures: Mapping[str, Any], teacher: str) -> Mapping[str, Any]:
    fidelity: Mapping[str, Any] = figures.get("fidelity") or {}
    return fidelity if fidelity and _teachers(fidelity) == teacher else {}


def _teachers(fidelity: Mapping[str, Any]) -> str:
    names = (PurePath(name).name if name.startswith("/") else name for name in fidelity["teachers"])
    return " + ".join(names) or "teacher"


def _share(part: Mapping[str, Any] | None) -> str:
    return f"{part['agreement']:.1%} [{part['low']:.1%}, {part['high']:.1%}]" if part else ""


def _nats(part: Mapping[str, Any] | None) -> str:
    return f"{part['mean']:.3f} [{part['low']:.3f}, {part['high']:.3f}]" if part else ""
