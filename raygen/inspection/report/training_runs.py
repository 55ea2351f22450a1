"""Read training runs from disk: metrics, result, evaluations, pictures.

Reads the files of streamtrain as plain data. Knows nothing of the page.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import UserError, parse_json_object

METRICS, RESULT = "metrics.jsonl", "result.json"
_SEEDS = "seed-*"
_PICTURES = {".png": "image/png", ".svg": "image/svg+xml"}
_HEAVY = 2_000_000


@dataclass(frozen=True, slots=True)
class StudentEvaluation:
    """An evaluation: `correct` of `total` answers, `low` and `high` the accuracy's 95 % interval.

    `chance` is the accuracy of guessing; `unparsed` counts the answers that couldn't be read.
    """

    name: str
    accuracy: float
    low: float
    high: float
    chance: float
    correct: int
    total: int
    unparsed: int


@dataclass(frozen=True, slots=True)
class StudentRun:
    """A training run.

    `steps` and `selects` are its events, the newest of each step. `in_domain` names the
    evaluations on the set that the run itself reports. `pictures` are data URLs by file name.
    """

    label: str
    steps: tuple[Mapping[str, Any], ...]
    selects: tuple[Mapping[str, Any], ...]
    evaluations: tuple[StudentEvaluation, ...]
    in_domain: frozenset[str]
    result: Mapping[str, Any]
    pictures: Mapping[str, str]

    @property
    def before(self) -> StudentEvaluation | None:
        """The evaluation before training."""
        return _evaluation("before training", self.result.get("before"))


def runs_of_dataset(folder: Path | None) -> list[Path]:
    """Find the runs in a dataset's `student/`: none, one, or one per seed."""
    student = folder / "student" if folder else None
    return _runs(student) if student and student.is_dir() else []


def read_student_runs(folders: Sequence[Path]) -> list[StudentRun]:
    """Read the runs in these folders; a folder of several seeds holds several runs.

    Raises UserError where a folder has no run, or a file of a run can't be read.
    """
    paths = []
    for folder in folders:
        runs = _runs(folder)
        if not runs:
            raise UserError(
                f"--student {folder}: no {METRICS} or {RESULT} there; expected a folder that "
                "`streamtrain fit` or `raygen apply` wrote"
            )
        paths += runs
    names = [_name(path) for path in paths]
    return [
        _read(path, name if names.count(name) == 1 else str(path))
        for path, name in zip(paths, names, strict=True)
    ]


def _runs(folder: Path) -> list[Path]:
    folders = [folder, *sorted(folder.glob(_SEEDS))]
    return [run for run in folders if any((run / name).is_file() for name in (METRICS, RESULT))]


def _name(folder: Path) -> str:
    path = folder.resolve()
    is_seed = path.match(_SEEDS)
    return f"{path.parent.name}/{path.name}" if is_seed else path.name


def _read(folder: Path, label: str) -> StudentRun:
    events = list(_events(folder / METRICS))
    result = _json(folder / RESULT)
    evaluations = [
        evaluation
        for file in sorted(folder.glob("evaluations/*/evaluation.json"))
        if (evaluation := _evaluation(file.parent.name, _json(file), file)) is not None
    ]
    if not evaluations and (after := _evaluation("report set", result.get("after"))):
        evaluations = [after]
    settings = _json(folder / "final" / "student.json")
    report = (settings.get("evaluate") or {}).get("report")
    return StudentRun(
        label,
        tuple({e["step"]: e for e in events if e["event"] == "step"}.values()),
        tuple({e["step"]: e for e in events if e["event"] == "select"}.values()),
        tuple(evaluations),
        frozenset([Path(report).stem] if report else ["report set"]),
        result,
        dict(_lenses(folder)),
    )


def _events(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the events of a file that may still be written: an incomplete last line is skipped."""
    if not path.exists():
        return
    complete, _, _ = _text(path).rpartition("\n")
    for number, line in enumerate(complete.splitlines(), 1):
        try:
            event = json.loads(line)
            if event["event"] in ("step", "select"):
                float(event["step"])
            yield event
        except (ValueError, KeyError, TypeError) as error:
            raise UserError(f"{path}:{number}: no event of a training run ({error!r})", 1) from None


def _evaluation(name: str, figures: Any, file: Path | None = None) -> StudentEvaluation | None:
    if not figures:
        return None
    names = ("accuracy", "low", "high", "chance", "correct", "total")
    try:
        accuracy, low, high, chance, correct, total = (float(figures[key]) for key in names)
        unparsed = int(figures.get("unparsed", 0))
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{file or RESULT}: no figures of an evaluation ({error!r})", 1) from None
    return StudentEvaluation(name, accuracy, low, high, chance, int(correct), int(total), unparsed)


def _lenses(folder: Path) -> Iterator[tuple[str, str]]:
    """Yield the pictures that `streamtrain lens --picture` wrote into the run's folder.

    A link isn't followed: it would show a file from elsewhere.
    """
    for file in sorted(folder.glob("*lens*")):
        kind = _PICTURES.get(file.suffix.lower())
        if kind and file.is_file() and not file.is_symlink() and file.stat().st_size <= _HEAVY:
            data = base64.b64encode(file.read_bytes()).decode("ascii")
            yield file.name, f"data:{kind};base64,{data}"


def _json(path: Path) -> Mapping[str, Any]:
    if not path.exists():
        return {}
    return parse_json_object(_text(path), str(path), "what `streamtrain` wrote at a run's end")


def _text(path: Path) -> str:
    try:
        if path.is_symlink():
            raise OSError("it is a link, whose target is not shown; put the file itself there")
        return path.read_text("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"{path} can't be read: {error}", 1) from None
