"""Compare runs: accuracy on every set that all were evaluated on, and whether two differ.

Works on kept evaluations alone; knows nothing of models.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from statistics import mean, stdev

from streamtrain.errors import InputError
from streamtrain.evaluation import (
    EvaluationRecord,
    bootstrap,
    evaluations_folder,
    fidelity_columns,
    mcnemar,
    read_records,
)
from streamtrain.plots import Dot
from streamtrain.tables import TextTable
from streamtrain.training import find_student


@dataclass(frozen=True, slots=True)
class EvaluatedRun:
    """A student with its evaluations by the name of their set."""

    label: str
    student: str
    records: Mapping[str, EvaluationRecord]


def read_evaluated_runs(folders: Sequence[Path]) -> list[EvaluatedRun]:
    """Read the runs in these folders; those of one student, as of several seeds, are labelled by
    folder.

    Raises InputError if a folder holds no student or no evaluation, or if runs have different
    questions under one name.
    """
    students = [find_student(folder) for folder in folders]
    names = [config.student for _, config in students]
    runs = []
    for folder, (student_folder, config) in zip(folders, students, strict=True):
        records = {
            record.name: record for record in read_records(evaluations_folder(student_folder))
        }
        if not records:
            raise InputError(
                f"{folder} has no evaluations; run `streamtrain eval {folder} --data FILE` first"
            )
        alone = names.count(config.student) == 1
        label = config.student if alone else f"{config.student} ({folder})"
        runs.append(EvaluatedRun(label, config.student, records))
    for name in _names(runs):
        if len({run.records[name].keys for run in runs if name in run.records}) > 1:
            raise InputError(
                f"the runs were asked different questions under the name {name!r}; evaluate them "
                "on the same file again"
            )
    return runs


def accuracy_table(runs: Sequence[EvaluatedRun]) -> TextTable:
    """Tabulate the accuracies: a row per run, one for the mean of each student with several runs,
    and one for chance.

    A set of pairs has a second column, for the pairs with both right; a set with teacher's answers
    has columns for fidelity.
    """
    names = _names(runs)
    paired = [name for name in names if any(_contrast(run.records.get(name)) for run in runs)]
    figures = [{name: record.figures for name, record in run.records.items()} for run in runs]
    fidelity = dict(fidelity_columns(figures))
    blank = ("",) * (len(paired) + len(fidelity))
    rows = [
        (
            run.label,
            *(_accuracy(run.records.get(name)) for name in names),
            *(_both_right(run.records.get(name)) for name in paired),
            *(cells[number] for cells in fidelity.values()),
        )
        for number, run in enumerate(runs)
    ]
    for student in dict.fromkeys(run.student for run in runs):
        same = [run for run in runs if run.student == student]
        if len(same) > 1:
            cells = (_mean([run.records[n] for run in same if n in run.records]) for n in names)
            rows.append((f"{student}, mean of {len(same)}", *cells, *blank))
    rows.append(("chance", *(_chance(runs, name) for name in names), *blank))
    columns = ("student", *names, *(f"{name}, both right" for name in paired), *fidelity)
    return TextTable(columns, tuple(rows))


def run_differences(runs: Sequence[EvaluatedRun]) -> TextTable:
    """Test each two runs on each set that both were evaluated on.

    The difference is the first accuracy minus the second, its interval a bootstrap over questions
    (over pairs if there are any); p is McNemar's, exact.
    """
    columns = ("set", "first", "second", "difference", "95 % interval", "p")
    rows = tuple(
        _difference(name, first, second)
        for name in _names(runs)
        for first, second in combinations([run for run in runs if name in run.records], 2)
    )
    return TextTable((*columns, "only first right", "only second right"), rows)


def dots_of(runs: Sequence[EvaluatedRun]) -> tuple[list[Dot], list[tuple[str, float]]]:
    """Convert the runs to dots with intervals, and the chance level of each set."""
    records = [
        Dot(name, run.label, *(run.records[name].figures[k] for k in ("accuracy", "low", "high")))
        for run in runs
        for name in run.records
    ]
    chances = [
        (name, next(run.records[name].figures["chance"] for run in runs if name in run.records))
        for name in _names(runs)
    ]
    return records, chances


def _names(runs: Sequence[EvaluatedRun]) -> list[str]:
    return list(dict.fromkeys(name for run in runs for name in run.records))


def _accuracy(record: EvaluationRecord | None) -> str:
    if record is None:
        return ""
    figures = record.figures
    return f"{figures['accuracy']:.1%} [{figures['low']:.1%}, {figures['high']:.1%}]"


def _contrast(record: EvaluationRecord | None) -> Mapping[str, float] | None:
    contrast: Mapping[str, float] | None = record.figures["contrast"] if record else None
    return contrast


def _both_right(record: EvaluationRecord | None) -> str:
    contrast = _contrast(record)
    if contrast is None:
        return ""
    return f"{contrast['both']:.1%} [{contrast['both_low']:.1%}, {contrast['both_high']:.1%}]"


def _mean(records: Sequence[EvaluationRecord]) -> str:
    scores = [record.figures["accuracy"] for record in records]
    if len(scores) < 2:
        return ""
    return f"{mean(scores):.1%} ± {stdev(scores):.1%}"


def _chance(runs: Sequence[EvaluatedRun], name: str) -> str:
    (chance, *_) = (run.records[name].figures["chance"] for run in runs if name in run.records)
    return f"{chance:.1%}"


def _difference(name: str, first: EvaluatedRun, second: EvaluatedRun) -> tuple[str, ...]:
    first_record, second_record = first.records[name], second.records[name]
    gaps: dict[object, list[float]] = {}
    for number, (a, b) in enumerate(_pairs(first_record, second_record)):
        group = first_record.answers[number]["group"]
        gaps.setdefault(number if group is None else group, []).append(float(a) - float(b))
    low, high = bootstrap(list(gaps.values()))
    return (
        name,
        first.label,
        second.label,
        f"{mean(gap for cluster in gaps.values() for gap in cluster):+.1%}",
        f"{low:+.1%} to {high:+.1%}",
        f"{mcnemar(first_record.right, second_record.right):.3g}",
        str(sum(a and not b for a, b in _pairs(first_record, second_record))),
        str(sum(b and not a for a, b in _pairs(first_record, second_record))),
    )


def _pairs(first: EvaluationRecord, second: EvaluationRecord) -> Iterator[tuple[bool, bool]]:
    return zip(first.right, second.right, strict=True)
