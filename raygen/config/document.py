"""A document: plain data with the mark of everything in it, and models validated against it.

Knows nothing of recipes, and of YAML only that a file holds it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from raygen.config.messages import did_you_mean, found, known_keys, nearest, reason
from raygen.config.yaml_text import MAX_CHARACTERS, dump_text, read_text
from raygen.core import Mark, Place, Problem, ProblemsError, problem_after

__all__ = [
    "Document",
    "Mark",
    "Place",
    "Problem",
    "ProblemsError",
    "dump_text",
    "load_document",
    "nearest",
    "parse_model",
    "parse_text",
]

Model = TypeVar("Model", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Document:
    """Plain data (mappings, lists, scalars) and the mark of every key and list entry in it."""

    file: str
    data: Any
    marks: Mapping[Place, Mark]

    def mark(self, path: Sequence[str | int] = ()) -> Mark:
        """Return the mark of the key or entry at `path`, or of its nearest parent that exists."""
        for end in range(len(path), -1, -1):
            mark = self.marks.get(tuple(path[:end]))
            if mark is not None:
                return mark
        return Mark(self.file, 1, 1)

    def problem(self, path: Sequence[str | int], message: str) -> Problem:
        """Make a problem that points at `path`."""
        mark = self.mark(path)
        return Problem(mark.file, mark.line, mark.column, message)

    def section(self, path: Sequence[str | int]) -> Document:
        """Cut out the subtree at `path` as a document. Raises KeyError, IndexError."""
        data = self.data
        for part in path:
            data = data[part]
        prefix = tuple(path)
        marks = {p[len(prefix) :]: m for p, m in self.marks.items() if p[: len(prefix)] == prefix}
        marks.setdefault((), self.mark(prefix))
        return Document(self.file, data, marks)


def load_document(path: Path) -> Document:
    """Read a YAML file.

    Raises ProblemsError for text that isn't valid, and for a file that can't be read.
    """
    file = str(path)
    try:
        with path.open("rb") as content:  # a device has no end
            raw = content.read(4 * MAX_CHARACTERS + 4)
    except FileNotFoundError:
        raise ProblemsError([Problem(file, 1, 1, "no such file")]) from None
    except OSError as error:
        text = f"can't be read: {error.strerror or error}"
        raise ProblemsError([Problem(file, 1, 1, text)]) from None
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = raw[: error.start].decode("utf-8-sig")
        message = f"byte 0x{raw[error.start]:02x} is not UTF-8; save the file as UTF-8"
        raise ProblemsError([problem_after(file, before, message)]) from None
    return parse_text(text, file)


def parse_text(text: str, file: str) -> Document:
    """Parse YAML; `file` is the name that problems give. Raises ProblemsError."""
    return Document(file, *read_text(text, file))


def parse_model(document: Document, model: type[Model], path: Sequence[str | int] = ()) -> Model:
    """Validate the data at `path` as a pydantic model, without conversions (`"5"` is no integer).

    Raises ProblemsError with all problems at once.
    """
    part = document.section(path) if path else document
    if not isinstance(part.data, dict):
        message = f"found {found(part.data)}, expected a mapping"
        raise ProblemsError([part.problem((), message)])
    try:
        # Strict JSON mode takes lists for tuples, but neither "5" nor true for a number.
        return model.model_validate_json(json.dumps(part.data), strict=True)
    except ValidationError as error:
        raise ProblemsError(_model_problems(part, model, error)) from None


def _model_problems(
    document: Document, model: type[BaseModel], error: ValidationError
) -> list[Problem]:
    schema = _schema(model)
    problems: list[Problem] = []
    by_path: dict[Place, list[Mapping[str, Any]]] = {}
    for detail in error.errors(include_url=False):
        loc = detail["loc"]
        if detail["type"] == "extra_forbidden":
            path = _existing(document.data, loc)
            options = known_keys(schema, path[:-1])
            message = f"unknown key {path[-1]!r}{did_you_mean(str(path[-1]), options)}"
            problems.append(document.problem(path, message))
        elif detail["type"] == "missing":
            path = _existing(document.data, loc[:-1])
            problems.append(document.problem(path, f"key {loc[-1]!r} is missing"))
        else:
            by_path.setdefault(_existing(document.data, loc), []).append(detail)
    for path, details in by_path.items():
        # A union reports its other members at the union itself: the deepest says most.
        if not any(other != path and other[: len(path)] == path for other in by_path):
            name = f"{path[-1]}: " if path and isinstance(path[-1], str) else ""
            problems.append(document.problem(path, name + reason(details)))
    return problems


@cache
def _schema(model: type[BaseModel]) -> Mapping[str, Any]:
    return model.model_json_schema()


def _existing(data: Any, loc: Sequence[str | int]) -> Place:
    """Drop the parts of a pydantic location that name a union's member."""
    path: list[str | int] = []
    for part in loc:
        inside = isinstance(data, dict) and part in data
        if inside or (isinstance(data, list) and isinstance(part, int) and part < len(data)):
            data = data[part]
            path.append(part)
    return tuple(path)
