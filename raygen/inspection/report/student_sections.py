"""Make the report's sections on students: curves, accuracies, the matrix of runs by sets.

Knows nothing of the files that the numbers come from.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from raygen.core import count, duration, percent
from raygen.inspection.report.figure import Figure, FigureTable, ReportSection, chart
from raygen.inspection.report.training_runs import StudentEvaluation, StudentRun

_POINTS = 150
_CURVES = {
    "loss": "Loss",
    "lr": "Learning rate",
    "tokens_per_second": "Tokens per second",
    "lag": "Rows that wait for training",
}
_OTHER_PROMPTING = re.compile(r"\.(written|scored|positive|negative|vote\d+)$")
"""Suffixes of evaluations that prompt the student differently than in training."""


def training_section(runs: Sequence[StudentRun]) -> ReportSection | None:
    """Make the section on training curves; None where no run has events."""
    figures = [f for name, title in _CURVES.items() for f in _curve(runs, name, title)]
    figures += _selection(runs)
    if not figures:
        return None
    head = ("run", "steps", "rows", "last loss", "time", "waited")
    rows = tuple(_course(run) for run in runs if run.steps)
    figures.append(Figure("Runs", (), FigureTable(head, rows), wide=True))
    return ReportSection("training", "Training", figures)


def accuracy_section(runs: Sequence[StudentRun]) -> ReportSection | None:
    """Make the section on accuracy; None without an evaluation or a picture of a lens."""
    evaluations = [
        (run, e) for run in runs for e in (run.before, *run.evaluations) if e is not None
    ]
    lenses = [
        Figure(f"Lens: {name} of {run.label}", (), wide=True, image=url)
        for run in runs
        for name, url in run.pictures.items()
    ]
    if not evaluations:
        return ReportSection("accuracy", "Under the lens", lenses) if lenses else None
    several = len(runs) > 1
    values = [
        {"name": f"{e.name} · {run.label}" if several else e.name, "amount": e.accuracy,
         "low": e.low, "high": e.high, "chance": e.chance, "group": run.label}
        for run, e in evaluations
    ]  # fmt: skip
    picture = chart("intervals", values, "Accuracies with their 95 % intervals", {"x": "accuracy"})
    head = ("run", "set", "accuracy", "95 % interval", "chance", "right", "not read")
    table = FigureTable(head, tuple((run.label, *_line(e)) for run, e in evaluations), words=2)
    note = "Dot: accuracy. Line: its 95 % interval. Tick: what guessing gets."
    figures = [Figure("Accuracy", (picture,), table, note), *_matrix(runs), *lenses]
    return ReportSection("accuracy", "How good the students are", figures)


def _line(result: StudentEvaluation) -> tuple[str, ...]:
    interval = f"{percent(result.low)} to {percent(result.high)}"
    right = f"{count(result.correct)} of {count(result.total)}"
    return (result.name, percent(result.accuracy), interval, percent(result.chance), right,
            count(result.unparsed))  # fmt: skip


def _course(run: StudentRun) -> tuple[str, ...]:
    last = run.steps[-1]
    seconds = last["time"] - run.steps[0]["time"]
    loss = last.get("loss")
    return (
        run.label, count(last["step"]), count(last.get("rows") or 0),
        "" if loss is None else f"{loss:.3f}", duration(run.result.get("seconds") or seconds),
        duration(last.get("wait_s") or 0),
    )  # fmt: skip


def _curve(runs: Sequence[StudentRun], name: str, title: str) -> Iterator[Figure]:
    values = [value for run in runs for value in _thinned(run, name)]
    if not any(value["amount"] for value in values):
        return
    picture = chart("lines", values, f"{title} by step")
    rows = tuple(_ends(run, name) for run in runs if _numbers(run.steps, name))
    table = FigureTable(("run", "first", "least", "most", "last"), rows)
    yield Figure(title, (picture,), table)


def _selection(runs: Sequence[StudentRun]) -> Iterator[Figure]:
    values = [
        {"step": event["step"], "amount": event["accuracy"], "group": run.label}
        for run in runs
        for event in run.selects
    ]
    if values:
        picture = chart("lines", values, "Accuracy on the select set by step")
        rows = tuple((v["group"], count(v["step"]), percent(v["amount"])) for v in values)
        table = FigureTable(("run", "step", "accuracy"), rows)
        yield Figure("Accuracy on the select set", (picture,), table)


def _numbers(steps: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [
        (step["step"], float(step[name]))
        for step in steps
        if isinstance(step.get(name), int | float)
    ]


def _thinned(run: StudentRun, name: str) -> list[dict[str, Any]]:
    """Compute the points of a run's curve, averaging neighbours where there are too many."""
    numbers = _numbers(run.steps, name)
    size = -(-len(numbers) // _POINTS) or 1
    parts = [numbers[start : start + size] for start in range(0, len(numbers), size)]
    return [
        {"step": part[-1][0], "amount": mean(n for _, n in part), "group": run.label}
        for part in parts
    ]


def _ends(run: StudentRun, name: str) -> tuple[str, ...]:
    numbers = [number for _, number in _numbers(run.steps, name)]
    summary = (numbers[0], min(numbers), max(numbers), numbers[-1])
    return run.label, *(f"{number:.4g}" for number in summary)


def _matrix(runs: Sequence[StudentRun]) -> Iterator[Figure]:
    """Draw accuracy by run and set, where runs were evaluated on several sets."""
    by_run = {
        run.label: {e.name: e for e in run.evaluations if not _OTHER_PROMPTING.search(e.name)}
        for run in runs
    }
    sets = list(dict.fromkeys(name for by_set in by_run.values() for name in by_set))
    if len(sets) < 2:
        return
    values = [
        {"name": run.label, "column": name, "amount": by_run[run.label][name].accuracy,
         "own": name in run.in_domain}
        for run in runs
        for name in sets
        if name in by_run[run.label]
    ]  # fmt: skip
    chances = {name: by_set[name].chance for by_set in by_run.values() for name in by_set}
    values += [
        {"name": "chance", "column": name, "amount": chances[name], "own": False} for name in sets
    ]
    rows = [
        (label, *(percent(by_set[name].accuracy) if name in by_set else "" for name in sets))
        for label, by_set in by_run.items()
    ]
    rows.append(("chance", *(percent(chances[name]) for name in sets)))
    picture = chart("heat", values, "Accuracy of each run on each set", {})
    note = "A frame marks the set that the run itself reports."
    yield Figure("Out of domain", (picture,), FigureTable(("run", *sets), tuple(rows)), note)
