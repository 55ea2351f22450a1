"""What trained students left on disk: their course, their result, their evaluations, pictures.

Reads files that streamtrain writes, as plain data. Knows nothing of pages.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import UserError

METRICS, RESULT = "metrics.jsonl", "result.json"
_SEEDS = "seed-*"
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
_HEAVY = 2_000_000


@dataclass(frozen=True, slots=True)
class Asked:
    """One evaluation: the right answers among `total`, with the 95 % interval."""

    name: str
    accuracy: float
    low: float
    high: float
    chance: float
    correct: int
    total: int
    unparsed: int


@dataclass(frozen=True, slots=True)
class Run:
    """One training run. `steps` and `selects` are events by step, the newest of each; `own` are
    the evaluations of the domain that it is trained on; `pictures` are data URLs by file name."""

    label: str
    steps: tuple[Mapping[str, Any], ...]
    selects: tuple[Mapping[str, Any], ...]
    asked: tuple[Asked, ...]
    own: frozenset[str]
    result: Mapping[str, Any]
    pictures: Mapping[str, str]

    @property
    def before(self) -> Asked | None:
        """Its accuracy before training."""
        return _asked("before training", self.result.get("before"))


def beside(folder: Path | None) -> list[Path]:
    """The runs that a dataset in this folder has in `student/`: none, one, or several seeds."""
    student = folder / "student" if folder else None
    return _runs(student) if student and student.is_dir() else []


def read_runs(folders: Sequence[Path]) -> list[Run]:
    """The runs in these folders; one of several seeds counts as several.

    Raises UserError where there is none, or a file of one can't be read.
    """
    found = []
    for folder in folders:
        runs = _runs(folder)
        if not runs:
            raise UserError(
                f"--student {folder}: no {METRICS} or {RESULT} there; expected a folder that "
                "`streamtrain fit` or `raygen apply` wrote"
            )
        found += runs
    names = [_name(folder) for folder in found]
    return [
        _read(folder, name if names.count(name) == 1 else str(folder))
        for folder, name in zip(found, names, strict=True)
    ]


def _runs(folder: Path) -> list[Path]:
    places = [folder, *sorted(folder.glob(_SEEDS))]
    return [one for one in places if any((one / name).is_file() for name in (METRICS, RESULT))]


def _name(folder: Path) -> str:
    whole = folder.resolve()
    seed = whole.match(_SEEDS)
    return f"{whole.parent.name}/{whole.name}" if seed else whole.name


def _read(folder: Path, label: str) -> Run:
    events = list(_events(folder / METRICS))
    result = _json(folder / RESULT)
    asked = [
        one
        for file in sorted(folder.glob("evaluations/*/evaluation.json"))
        if (one := _asked(file.parent.name, _json(file), file)) is not None
    ]
    if not asked and (after := _asked("report set", result.get("after"))):
        asked = [after]
    settings = _json(folder / "final" / "student.json")
    report = (settings.get("evaluate") or {}).get("report")
    return Run(
        label,
        tuple({e["step"]: e for e in events if e["event"] == "step"}.values()),
        tuple({e["step"]: e for e in events if e["event"] == "select"}.values()),
        tuple(asked),
        frozenset([Path(report).stem] if report else ["report set"]),
        result,
        dict(_lenses(folder)),
    )


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """The whole lines of a course that may still grow."""
    if not path.exists():
        return
    whole, _, _ = _text(path).rpartition("\n")
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            event = json.loads(line)
            if event["event"] in ("step", "select"):
                float(event["step"])
            yield event
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}:{number}: no event of a training run ({error!r})", 1) from None


def _asked(name: str, figures: Any, file: Path | None = None) -> Asked | None:
    if not figures:
        return None
    names = ("accuracy", "low", "high", "chance", "correct", "total")
    try:
        accuracy, low, high, chance, correct, total = (float(figures[one]) for one in names)
        unparsed = int(figures.get("unparsed", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file or RESULT}: no figures of an evaluation ({error!r})", 1) from None
    return Asked(name, accuracy, low, high, chance, int(correct), int(total), unparsed)


def _lenses(folder: Path) -> Iterator[tuple[str, str]]:
    """The pictures that `streamtrain lens --picture` was told to put into the run's folder."""
    for file in sorted(folder.glob("*lens*")):
        kind = _PICTURES.get(file.suffix.lower())
        if kind and file.is_file() and file.stat().st_size <= _HEAVY:
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            yield file.name, f"data:{kind};base64,{data}"


def _json(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    try:
        found = json.loads(_text(path))
    except ValueError as error:
        raise UserError(f"{path} is no JSON: {error}", 1) from None
    if not isinstance(found, dict):
        raise UserError(f"{path}: found {type(found).__name__}, expected an object", 1)
    return found


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read: {error}", 1) from None
