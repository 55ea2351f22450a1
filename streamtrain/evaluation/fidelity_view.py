"""Fidelity as people read it: a table of its own after an evaluation, columns where runs are
compared.

Takes the figures as they were written; knows nothing of how they came about.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import PurePath
from typing import Any

from streamtrain.tables import TextTable

_PARTS = {"whole": "all", "original": "original", "counterfactual": "counterfactual"}


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
