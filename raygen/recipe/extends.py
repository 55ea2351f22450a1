"""A recipe's document with all that it extends: `extends: REF`, and what that extends in turn.

REF is a path from the file that says it, or anything that can be fetched. Knows nothing of the
sections of a recipe.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from raygen.config import Document, found, load_document
from raygen.core import ProblemsError, UserError
from raygen.recipe.merge import merged
from raygen.recipe.remote.fetch import fetch, is_remote, recipe_in
from raygen.recipe.remote.fetched import Fetched
from raygen.recipe.remote.inside import left
from raygen.recipe.remote.ref import stranger_may_name
from raygen.recipe.schema import RECIPE_VERSION

EXTENDS = "extends"
_LONGEST = 20
"""Recipes in a chain: nobody writes so many, and a server could make up ever new ones."""


@dataclass(frozen=True, slots=True)
class Extended:
    """A recipe over all that it extends, and the files that it was read from."""

    document: Document
    files: Mapping[str, Fetched | None] = field(default_factory=dict)
    """By the name that marks have: what each was fetched with, None for the user's own."""


def load_extended(path: Path, fetched: Fetched | None = None) -> Extended:
    """The recipe in a file over those that it extends; `fetched` where the file was.

    Raises ProblemsError.
    """
    files: dict[str, Fetched | None] = {}
    return Extended(_load(path, fetched, files), files)


def _load(path: Path, fetched: Fetched | None, files: dict[str, Fetched | None]) -> Document:
    document = load_document(path)
    _check(document)
    files[str(path)] = fetched
    if EXTENDS not in document.data:
        return document
    reference = document.data[EXTENDS]
    try:
        if not isinstance(reference, str):
            raise UserError(f"found {found(reference)}, expected a path or a reference")
        below_path, below_fetched = _find(reference, path, fetched)
        _check_chain(below_path, files)
    except UserError as error:
        raise ProblemsError([document.problem((EXTENDS,), f"extends: {error}")]) from error
    below = _load(below_path, below_fetched, files)
    own = {key: value for key, value in document.data.items() if key != EXTENDS}
    both, problems = merged(below, Document(document.file, own, document.marks))
    if problems:
        raise ProblemsError(problems)
    return both


def _find(reference: str, said_in: Path, fetched: Fetched | None) -> tuple[Path, Fetched | None]:
    """The file that is extended. Raises UserError."""
    if is_remote(reference):
        if fetched is not None and (why := stranger_may_name(reference)):
            raise UserError(why)
        one = fetch(reference)
        return one.file, one
    if fetched is not None and (why := left(fetched, said_in.parent, reference)):
        raise UserError(why)
    file = recipe_in(_tidy(said_in.parent / Path(reference).expanduser()))
    if fetched is not None and (why := left(fetched, file.parent, file.name)):
        raise UserError(why)
    return file, fetched


def _tidy(path: Path) -> Path:
    """The path without its `..`, where that is the same place."""
    short = Path(os.path.normpath(path))
    return short if short.resolve() == path.resolve() else path


def _check_chain(path: Path, files: Mapping[str, Fetched | None]) -> None:
    chain = [Path(file) for file in files]
    if path.resolve() in [file.resolve() for file in chain]:
        names = " -> ".join(str(file) for file in (*chain, path))
        raise UserError(f"{names} goes round in a circle; remove one of these `extends`")
    if len(chain) >= _LONGEST:
        raise UserError(f"more than {_LONGEST} recipes extend each other")


def _check(document: Document) -> None:
    """See that it is a recipe of a version that can be read. Raises ProblemsError."""
    data = document.data
    if not isinstance(data, dict):
        message = f"found {found(data)}, expected a recipe: a mapping with `recipe`, `version`, ..."
        raise ProblemsError([document.problem((), message)])
    version = data.get("version", RECIPE_VERSION)
    if version != RECIPE_VERSION or isinstance(version, bool):
        message = f"recipe version {found(version)}: this raygen reads version {RECIPE_VERSION}"
        raise ProblemsError([document.problem(("version",), message)])
