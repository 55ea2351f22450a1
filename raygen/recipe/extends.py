"""A recipe's document with all that it extends: `extends: REF`, and what that extends in turn.

REF is a path from the file that says it, or anything that can be fetched. Knows nothing of the
sections of a recipe.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from raygen.config import Document, found, load_document
from raygen.core import ProblemsError, UserError
from raygen.recipe.merge import merge_documents
from raygen.recipe.remote.boundary import alone_reason, escape_reason, url_refusal
from raygen.recipe.remote.fetch import fetch, is_remote, recipe_in
from raygen.recipe.remote.fetched import Fetched
from raygen.recipe.schema import RECIPE_VERSION

EXTENDS = "extends"
_LONGEST = 20
"""Recipes in a chain: nobody writes so many, and a server could make up ever new ones."""


def upgraded(document: Document) -> Document:
    """A recipe in the words of this version; so far there is one. Raises ProblemsError."""
    data = document.data
    if not isinstance(data, dict):
        message = f"found {found(data)}, expected a recipe: a mapping with `recipe`, `version`, ..."
        raise ProblemsError([document.problem((), message)])
    version = data.get("version", RECIPE_VERSION)
    if version != RECIPE_VERSION or isinstance(version, bool):
        message = f"recipe version {found(version)}: this raygen reads version {RECIPE_VERSION}"
        raise ProblemsError([document.problem(("version",), message)])
    return document


def extended(
    document: Document, path: Path, fetched: Fetched | None = None
) -> tuple[Document, dict[str, Fetched | None]]:
    """Put a recipe over those that it extends; `fetched` is what its file at `path` came with.

    Returns also the files that it was read from: by the name that marks have, what each was fetched
    with, None for the user's own. Raises ProblemsError.
    """
    files = {str(path): fetched}
    chain = [document]
    while EXTENDS in chain[-1].data:
        path, fetched = _below(chain[-1], path, fetched, files)
        chain.append(upgraded(load_document(path)))
        files[str(path)] = fetched
    document = chain.pop()
    for above in reversed(chain):
        own = {key: value for key, value in above.data.items() if key != EXTENDS}
        document, problems = merge_documents(document, Document(above.file, own, above.marks))
        if problems:
            raise ProblemsError(problems)
    return document, files


def _below(
    document: Document, path: Path, fetched: Fetched | None, files: Mapping[str, Fetched | None]
) -> tuple[Path, Fetched | None]:
    """The file that a recipe extends, and what it was fetched with. Raises ProblemsError."""
    reference = document.data[EXTENDS]
    try:
        if not isinstance(reference, str):
            raise UserError(f"found {found(reference)}, expected a path or a reference")
        below, owner = _find(reference, path, fetched)
        _check_chain(below, files)
    except (UserError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise ProblemsError([document.problem((EXTENDS,), f"extends: {error}")]) from error
    return below, owner


def _find(reference: str, said_in: Path, fetched: Fetched | None) -> tuple[Path, Fetched | None]:
    """The file that is extended. Raises UserError."""
    if is_remote(reference):
        if fetched is not None and (why := url_refusal(fetched, reference)):
            raise UserError(why)
        below = fetch(reference)
        return below.file, below
    if fetched is not None:
        why = escape_reason(fetched, said_in.parent, reference) or alone_reason(fetched, reference)
        if why is not None:
            raise UserError(why)
    file = recipe_in(_tidy(said_in.parent / Path(reference).expanduser()))
    if fetched is not None and (why := escape_reason(fetched, file.parent, file.name)):
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
