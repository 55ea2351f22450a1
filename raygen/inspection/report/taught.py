"""Students on the page: their curves, accuracies with intervals, the matrix out of domain.

Knows nothing of where the figures lie.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from statistics import mean
from typing import Any

from raygen.core import count, duration, percent
from raygen.inspection.report.charts import chart
from raygen.inspection.report.figure import Figure, Section, Table
from raygen.inspection.report.students import Asked, Run

_POINTS = 150
_CURVES = {
    "loss": "Loss",
    "lr": "Learning rate",
    "tokens_per_second": "Tokens per second",
    "lag": "Rows that wait for training",
}
_OTHER_WAY = re.compile(r"\.(written|scored|positive|negative|vote\d+)$")
"""Ends the name of an evaluation that asked in another way than the student is trained."""


def training_section(runs: Sequence[Run]) -> Section | None:
    """The course of some runs, None where they have none."""
    figures = [f for name, title in _CURVES.items() for f in _curve(runs, name, title)]
    figures += _selection(runs)
    if not figures:
        return None
    head = ("run", "steps", "rows", "last loss", "time", "waited")
    rows = tuple(_course(run) for run in runs if run.steps)
    figures.append(Figure("Runs", (), Table(head, rows), wide=True))
    return Section("training", "Training", figures)


def accuracy_section(runs: Sequence[Run]) -> Section | None:
    """How good the students are; None where nobody asked them."""
    found = [(run, one) for run in runs for one in (run.before, *run.asked) if one is not None]
    lenses = [
        Figure(f"Lens: {name} of {run.label}", (), wide=True, image=url)
        for run in runs
        for name, url in run.pictures.items()
    ]
    if not found:
        return Section("accuracy", "Under the lens", lenses) if lenses else None
    several = len(runs) > 1
    values = [
        {"name": f"{one.name} · {run.label}" if several else one.name, "amount": one.accuracy,
         "low": one.low, "high": one.high, "chance": one.chance, "group": run.label}
        for run, one in found
    ]  # fmt: skip
    picture = chart("intervals", values, "Accuracies with their 95 % intervals", {"x": "accuracy"})
    head = ("run", "set", "accuracy", "95 % interval", "chance", "right", "not read")
    table = Table(head, tuple((run.label, *_line(one)) for run, one in found), words=2)
    note = "Dot: accuracy. Line: its 95 % interval. Tick: what guessing gets."
    figures = [Figure("Accuracy", (picture,), table, note), *_matrix(runs), *lenses]
    return Section("accuracy", "How good the students are", figures)


def _line(one: Asked) -> tuple[str, ...]:
    between = f"{percent(one.low)} to {percent(one.high)}"
    right = f"{count(one.correct)} of {count(one.total)}"
    return (one.name, percent(one.accuracy), between, percent(one.chance), right,
            count(one.unparsed))  # fmt: skip


def _course(run: Run) -> tuple[str, ...]:
    last = run.steps[-1]
    seconds = last["time"] - run.steps[0]["time"]
    loss = last.get("loss")
    return (
        run.label, count(last["step"]), count(last.get("rows") or 0),
        "" if loss is None else f"{loss:.3f}", duration(run.result.get("seconds") or seconds),
        duration(last.get("wait_s") or 0),
    )  # fmt: skip


def _curve(runs: Sequence[Run], name: str, title: str) -> Iterator[Figure]:
    values = [value for run in runs for value in _thinned(run, name)]
    if not any(value["amount"] for value in values):
        return
    picture = chart("lines", values, f"{title} by step")
    rows = tuple(_ends(run, name) for run in runs if _numbers(run.steps, name))
    table = Table(("run", "first", "least", "most", "last"), rows)
    yield Figure(title, (picture,), table)


def _selection(runs: Sequence[Run]) -> Iterator[Figure]:
    values = [
        {"step": one["step"], "amount": one["accuracy"], "group": run.label}
        for run in runs
        for one in run.selects
    ]
    if values:
        picture = chart("lines", values, "Accuracy on the select set by step")
        rows = tuple((v["group"], count(v["step"]), percent(v["amount"])) for v in values)
        table = Table(("run", "step", "accuracy"), rows)
        yield Figure("Accuracy on the select set", (picture,), table)


def _numbers(steps: Sequence[Mapping[str, Any]], name: str) -> list[tuple[int, float]]:
    return [
        (one["step"], float(one[name])) for one in steps if isinstance(one.get(name), int | float)
    ]


def _thinned(run: Run, name: str) -> list[dict[str, Any]]:
    """A run's numbers, where there are many as means of neighbours."""
    found = _numbers(run.steps, name)
    size = -(-len(found) // _POINTS) or 1
    parts = [found[at : at + size] for at in range(0, len(found), size)]
    return [
        {"step": part[-1][0], "amount": mean(n for _, n in part), "group": run.label}
        for part in parts
    ]


def _ends(run: Run, name: str) -> tuple[str, ...]:
    numbers = [number for _, number in _numbers(run.steps, name)]
    told = (numbers[0], min(numbers), max(numbers), numbers[-1])
    return run.label, *(f"{number:.4g}" for number in told)


def _matrix(runs: Sequence[Run]) -> Iterator[Figure]:
    """Runs by sets, where there are several sets that were asked as usual."""
    by_run = {
        run.label: {one.name: one for one in run.asked if not _OTHER_WAY.search(one.name)}
        for run in runs
    }
    sets = list(dict.fromkeys(name for found in by_run.values() for name in found))
    if len(sets) < 2:
        return
    values = [
        {"name": run.label, "column": name, "amount": by_run[run.label][name].accuracy,
         "own": name in run.own}
        for run in runs
        for name in sets
        if name in by_run[run.label]
    ]  # fmt: skip
    chances = {name: found[name].chance for found in by_run.values() for name in found}
    values += [
        {"name": "chance", "column": name, "amount": chances[name], "own": False} for name in sets
    ]
    rows = [
        (label, *(percent(found[name].accuracy) if name in found else "" for name in sets))
        for label, found in by_run.items()
    ]
    rows.append(("chance", *(percent(chances[name]) for name in sets)))
    picture = chart("heat", values, "Accuracy of each run on each set", {})
    note = "A frame marks the set that the run itself reports."
    yield Figure("Out of domain", (picture,), Table(("run", *sets), tuple(rows)), note)
