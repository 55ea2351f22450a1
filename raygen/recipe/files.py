"""The files that a recipe names: `{file: prompts/x.j2}` in a node's parameters, and the student.

A recipe reads files of its own folder and no others. Knows nothing of what the texts mean.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from raygen.config import Document, load_document, nearest
from raygen.core import Place, Problem, ProblemsError
from raygen.recipe.params import escaped


def attach(
    recipe: Document, written: Document, folders: Callable[[Place], Iterable[Path]]
) -> tuple[Document, Document, list[Problem]]:
    """Both documents with the text of each named file in place.

    `recipe` has its params filled in and `written` has not, so there a text is escaped. In
    `written` a student's file becomes the section itself; in `recipe` its path stays. `folders`
    says where the file that is named at a place may lie.
    """
    filled, raw = copy.deepcopy(recipe.data), copy.deepcopy(written.data)
    problems: list[Problem] = []
    for place in _references(recipe.data.get("graph"), ("graph",)):
        name = _at(recipe.data, place)["file"]
        try:
            text = _first(folders((*place, "file")), name).read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            message = f"file {name!r} is not UTF-8 (byte {error.start})"
            problems.append(recipe.problem(place, message))
        except (OSError, ValueError) as error:
            problems.append(recipe.problem(place, str(error)))
        else:
            _at(filled, place[:-1])[place[-1]] = text
            _at(raw, place[:-1])[place[-1]] = escaped(text)
    train = recipe.data.get("train")
    if isinstance(train, str):
        try:
            raw["train"] = _escaped_all(load_document(_first(folders(("train",)), train)).data)
        except ProblemsError as error:
            problems.extend(error.problems)
        except (OSError, ValueError) as error:
            problems.append(recipe.problem(("train",), f"train: {error}"))
    marks = recipe.marks
    return Document(recipe.file, filled, marks), Document(written.file, raw, marks), problems


def rebased(recipe: Document, folder_of: Callable[[Place], Path], base: Path) -> Document:
    """The document with the files that its student names elsewhere than from `base`, in full."""
    data = copy.deepcopy(recipe.data)
    if isinstance(data.get("train"), dict):
        for place in _texts(data["train"], ("train",)):
            folder, name = folder_of(place), _at(data, place)
            if folder != base and (folder / name).exists():
                _at(data, place[:-1])[place[-1]] = str((folder / name).absolute())
    return Document(recipe.file, data, recipe.marks)


def _texts(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(child, (*place, key))
    elif isinstance(value, str) and value:
        yield place


def _first(folders: Iterable[Path], name: str) -> Path:
    """The file in the first folder that has it. Raises ValueError, OSError."""
    several = list(folders)
    for folder in several[:-1]:
        if (folder / name).is_file():
            return find(folder, name)
    return find(several[-1], name)


def find(base: Path, name: str) -> Path:
    """The path of a file inside the folder `base`. Raises ValueError, OSError."""
    if "\0" in name:
        raise ValueError(f"file {name!r} is not a path")
    path = base / name
    try:
        inside = path.resolve().is_relative_to(base.resolve())
    except RuntimeError:  # what resolve() raises on a loop, in Python up to 3.12
        raise ValueError(f"file {name!r} is a link to itself") from None
    if not inside:
        raise ValueError(f"file {name!r} is outside the recipe's folder")
    if path.is_file():
        return path
    if path.is_dir():
        raise ValueError(f"{name!r} is a folder, expected a file")
    folder = path.parent
    siblings = [p.name for p in folder.iterdir() if p.is_file()] if folder.is_dir() else []
    guess = nearest(path.name, siblings)
    hint = f"; did you mean {guess!r}?" if guess else ""
    raise ValueError(f"no file {name!r} in the recipe's folder{hint}")


def _references(value: Any, place: Place) -> Iterator[Place]:
    if isinstance(value, dict):
        # graph.NODE itself is never a reference: a node has at least `op` and `from`.
        if len(place) > 2 and set(value) == {"file"} and isinstance(value["file"], str):
            yield place
            return
        for key, child in value.items():
            yield from _references(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _references(child, (*place, index))


def _at(data: Any, place: Place) -> Any:
    for part in place:
        data = data[part]
    return data


def _escaped_all(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _escaped_all(child) for key, child in value.items()}
    if isinstance(value, list):
        return [_escaped_all(child) for child in value]
    return escaped(value) if isinstance(value, str) else value
