"""The out-of-domain matrix: students by training dataset against the sets that they are evaluated
on.

Works on kept evaluations alone; knows nothing of models, or of how a table or picture is drawn.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from statistics import mean, stdev

from streamtrain.analysis.assessment import is_default_evaluation
from streamtrain.analysis.compare import EvaluatedRun
from streamtrain.data import dataset_facts
from streamtrain.errors import InputError
from streamtrain.plots import Heatmap
from streamtrain.run import RESULT, read_result
from streamtrain.tables import TextTable
from streamtrain.training import find_student

_MEAN = "out of domain, mean"


@dataclass(frozen=True, slots=True)
class Domain:
    """What a run was trained on: its dataset's name, and the sets of the same domain."""

    name: str
    own: frozenset[str]


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """The runs of one student on one dataset: accuracies by set, one per run."""

    label: str
    own: frozenset[str]
    accuracies: Mapping[str, tuple[float, ...]]

    def away(self) -> list[float]:
        """Compute the mean accuracy on each set of another domain."""
        return [
            mean(accuracies) for name, accuracies in self.accuracies.items() if name not in self.own
        ]


@dataclass(frozen=True, slots=True)
class Matrix:
    """Rows of runs by columns of sets, with the chance level of each set."""

    rows: tuple[MatrixRow, ...]
    chance: Mapping[str, float]

    def table(self) -> TextTable:
        """Tabulate the accuracies; a star marks sets of a row's own domain."""
        rows = [
            (row.label, *(_cell(row, name) for name in self.chance), _shown(row.away()))
            for row in self.rows
        ]
        chances = (f"{chance:.1%}" for chance in self.chance.values())
        rows.append(("chance", *chances, ""))
        return TextTable(("trained on", *self.chance, _MEAN), tuple(rows))

    def picture(self) -> Heatmap:
        """Draw the matrix as a heatmap; a frame marks sets of a row's own domain."""
        lines: list[list[float | None]] = [
            [
                *(mean(row.accuracies[n]) if n in row.accuracies else None for n in self.chance),
                mean(row.away()) if row.away() else None,
            ]
            for row in self.rows
        ]
        lines.append([*self.chance.values(), None])
        return Heatmap(
            values=lines,
            texts=[["" if cell is None else f"{cell:.1%}" for cell in line] for line in lines],
            rows=[*(row.label for row in self.rows), "chance"],
            columns=[*self.chance, "out of domain"],
            title="Accuracy; a frame marks the set of the training's own domain",
            row_axis="trained on",
            column_axis="evaluated on",
            scale="accuracy",
            marked=frozenset(
                (number, column)
                for number, row in enumerate(self.rows)
                for column, name in enumerate(self.chance)
                if name in row.own and name in row.accuracies
            ),
            column_break=len(self.chance),
            row_break=len(self.rows),
        )


def read_domain(folder: Path) -> Domain:
    """Read a run's dataset, by the name of its recipe (of its folder if it can't be read any more),
    and its domain: the set that the run reported, and one named like the dataset.

    Raises InputError if there is no finished run.
    """
    student_folder, config = find_student(folder)
    result = student_folder.parent / RESULT
    if not result.exists():
        raise InputError(
            f"{folder} is no finished run: expected {RESULT} beside "
            f"{student_folder.name}/, which names the "
            "dataset that it is trained on"
        )
    outcome = read_result(result.parent)
    facts = dataset_facts(outcome["data"], outcome["plan"]) if outcome.get("plan") else None
    name = facts.recipe if facts else PurePosixPath(outcome["data"]).name
    report = config.evaluate.report
    return Domain(name, frozenset({name, *([Path(report).stem] if report else [])}))


def make_matrix(runs: Sequence[EvaluatedRun], domains: Sequence[Domain]) -> Matrix:
    """Build the matrix of runs and their domains; a row pools the seeds of a student.

    Raises InputError if no set is of a run's own domain and none was reported.
    """
    names = [
        name
        for name in dict.fromkeys(name for run in runs for name in run.records)
        if is_default_evaluation(name)
    ]
    groups: dict[tuple[str, str], list[tuple[EvaluatedRun, Domain]]] = {}
    for run, domain in zip(runs, domains, strict=True):
        if len(domain.own) == 1 and not domain.own & set(names):
            raise InputError(
                f"{run.label} is trained on {domain.name}, but which set is of that domain can't "
                f"be told: it reported none (evaluate.report), and none of {', '.join(names)} is "
                "named like it"
            )
        groups.setdefault((domain.name, run.student), []).append((run, domain))
    several = {dataset for dataset, _ in groups if sum(d == dataset for d, _ in groups) > 1}
    rows = tuple(
        MatrixRow(
            f"{dataset} ({student})" if dataset in several else dataset,
            frozenset[str]().union(*(domain.own for _, domain in members)),
            {
                name: accuracies
                for name in names
                if (accuracies := _accuracies([run for run, _ in members], name))
            },
        )
        for (dataset, student), members in groups.items()
    )
    return Matrix(rows, {name: _chance(runs, name) for name in names})


def _accuracies(runs: Sequence[EvaluatedRun], name: str) -> tuple[float, ...]:
    return tuple(run.records[name].figures["accuracy"] for run in runs if name in run.records)


def _chance(runs: Sequence[EvaluatedRun], name: str) -> float:
    (chance, *_) = (run.records[name].figures["chance"] for run in runs if name in run.records)
    return float(chance)


def _cell(row: MatrixRow, name: str) -> str:
    accuracies = row.accuracies.get(name, ())
    star = " *" if accuracies and name in row.own else ""
    spread = f" ± {stdev(accuracies):.1%}" if len(accuracies) > 1 else ""
    return f"{_shown(accuracies)}{spread}{star}"


def _shown(values: Sequence[float]) -> str:
    return f"{mean(values):.1%}" if values else ""
