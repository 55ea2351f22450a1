"""The files that a recipe names: `{file: prompts/x.j2}` in a node's parameters, and the student.

Knows nothing of where they may lie, nor of what the texts mean.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.config import Document, load_document
from raygen.core import Place, Problem, ProblemsError
from raygen.recipe.params import escape_references
from raygen.recipe.trust import value_at

_STUDENT: Place = ("train",)
_MOST_BYTES = 2**22


def read_texts(
    document: Document, paths: Mapping[Place, str]
) -> tuple[dict[Place, Any], list[Problem]]:
    """Read the files that the graph names, and the student's, whose `paths` are resolved.

    Returns, by place, what replaces the reference: a prompt's text, the student's section.
    """
    texts: dict[Place, Any] = {}
    problems: list[Problem] = []
    for place, path in paths.items():
        if place == _STUDENT:
            try:
                texts[place] = load_document(Path(path)).data
            except ProblemsError as error:
                problems += error.problems
        elif place[0] == "graph" and place[-1] == "file":
            reference = place[:-1]
            try:
                texts[reference] = _text(Path(path))
            except UnicodeDecodeError as error:
                name = value_at(document.data, place)
                why = f"file {name!r} is not UTF-8 (byte {error.start})"
                problems.append(document.problem(reference, why))
            except OSError as error:
                problems.append(document.problem(reference, str(error)))
    return texts, problems


def _text(path: Path) -> str:
    """Return a prompt. Raises OSError, also for one that is too long, and UnicodeDecodeError."""
    with path.open("rb") as file:  # a device has no end
        content = file.read(_MOST_BYTES + 1)
    if len(content) > _MOST_BYTES:
        raise OSError(f"{path} has more than {_MOST_BYTES:,} bytes; expected a prompt")
    return content.decode("utf-8")


def put_texts(document: Document, texts: Mapping[Place, Any]) -> Document:
    """Put the texts of prompts in place of their files; a student's file stays a path."""
    prompts = {place: text for place, text in texts.items() if place != _STUDENT}
    return Document(document.file, _put(document.data, prompts), document.marks)


def with_files(data: Any, texts: Mapping[Place, Any]) -> Any:
    """Put all files into the data of a recipe whose params aren't filled in, escaped for that."""
    return _put(data, {place: _escaped(value) for place, value in texts.items()})


def _put(data: Any, values: Mapping[Place, Any]) -> Any:
    copied = copy.deepcopy(data)
    for place, value in values.items():
        value_at(copied, place[:-1])[place[-1]] = value
    return copied


def _escaped(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped(child) for child in value]
    return escape_references(value) if isinstance(value, str) else value
