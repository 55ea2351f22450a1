"""Held-out multiple-choice questions: read from JSON lines, or from parquet.

Knows nothing of models, templates or how an answer is judged.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.task import TASKS
from streamtrain.errors import InputError

_SHOWN = 5


@dataclass(frozen=True, slots=True)
class Question:
    """One question; `answer` is the zero-based index of the right option."""

    question: str
    choices: tuple[str, ...]
    answer: int


def read_questions(path: Path) -> list[Question]:
    """The questions of a `.jsonl` or `.parquet` file with `question`, `choices` and `answer`.

    Raises InputError that counts all bad rows and shows the first five.
    """
    questions: list[Question] = []
    bad: list[str] = []
    for number, row in _rows(path):
        try:
            questions.append(_question(row))
        except ValueError as error:
            bad.append(f"row {number}: {error}")
    if bad:
        shown = "; ".join(bad[:_SHOWN])
        raise InputError(f"{path}: {len(bad)} of {len(bad) + len(questions)} rows are bad: {shown}")
    if not questions:
        raise InputError(f"{path} has no questions; an evaluation needs at least one")
    return questions


def _rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Rows with their numbers, counted from 1 (line numbers in JSON lines)."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; expected held-out questions (.jsonl, .parquet)")
    if path.suffix == ".parquet":
        import pyarrow.parquet

        yield from enumerate(pyarrow.parquet.read_table(path).to_pylist(), 1)
    elif path.suffix in (".jsonl", ".json"):
        with path.open(encoding="utf-8-sig") as lines:
            for number, line in enumerate(lines, 1):
                if line.strip():
                    yield number, _json(line)
    else:
        raise InputError(f"{path}: found {path.suffix or 'no suffix'}, expected .jsonl or .parquet")


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return error


def _question(row: Any) -> Question:
    if isinstance(row, json.JSONDecodeError):
        raise ValueError(f"not JSON ({row.msg} at column {row.colno})")
    if not isinstance(row, Mapping):
        raise ValueError(f"found {type(row).__name__}, expected an object")
    data = TASKS["multiple_choice"].normalise(row)
    return Question(data["question"].strip(), tuple(data["choices"]), data["answer"])
