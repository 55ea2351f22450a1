"""Put a recipe over the one that it extends, `extends: REF`, and over what that extends in turn.

REF is a path from the file that says it, or anything that can be fetched. Two documents are merged
key by key: mappings are merged, everything else is replaced, and nothing (`null`) removes what was
there. Every value keeps the mark of the file that says it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from raygen.config import Document, did_you_mean, found, load_document
from raygen.core import Mark, Place, Problem, ProblemsError, UserError, expand_home
from raygen.core.access import access_to
from raygen.recipe.remote.boundary import alone_reason, escape_reason, url_refusal
from raygen.recipe.remote.fetch import fetch, is_remote, recipe_in
from raygen.recipe.remote.ref import NOTHING, Fetched, Permissions, UnfetchedError
from raygen.recipe.schema import RECIPE_VERSION
from raygen.recipe.upgrade import upgrade_mixed

EXTENDS = "extends"
_LONGEST = 20
"""Recipes in a chain: nobody writes so many, and a server could make up ever new ones."""

_REMOVED = object()
_NAMED = {"params": "param", "engines": "engine", "graph": "node", "variants": "variant"}


def upgraded(document: Document) -> Document:
    """Check that a recipe is of a version that is read here. Raises ProblemsError.

    A recipe of version 1 stays as it is written, so that its dataset goes on: what it means, the
    plan knows by its version.
    """
    data = document.data
    if not isinstance(data, dict):
        message = f"found {found(data)}, expected a recipe: a mapping with `recipe`, `version`, ..."
        raise ProblemsError([document.problem((), message)])
    version = data.get("version", RECIPE_VERSION)
    if version not in range(1, RECIPE_VERSION + 1) or isinstance(version, bool):
        message = f"recipe version {found(version)}: this raygen reads 1 to {RECIPE_VERSION}"
        raise ProblemsError([document.problem(("version",), message)])
    return document


def extended(
    document: Document,
    path: Path,
    fetched: Fetched | None = None,
    allowed: Permissions = NOTHING,
) -> tuple[Document, dict[str, Fetched | None]]:
    """Put a recipe over those that it extends; `fetched` is what its file at `path` came with.

    What a fetched one extends is read without credentials, but for the addresses of `allowed`.
    Returns the document, and the files that it was read from: by their names in marks, what each
    was fetched with, None for the user's own. Raises ProblemsError.
    """
    files = {str(path): fetched}
    chain = [document]
    while EXTENDS in chain[-1].data:
        path, fetched = _below(chain[-1], path, fetched, files, allowed)
        chain.append(upgraded(load_document(path)))
        files[str(path)] = fetched
    chain = upgrade_mixed(chain)
    document = chain.pop()
    for above in reversed(chain):
        data = {key: value for key, value in above.data.items() if key != EXTENDS}
        document, problems = merge_documents(document, Document(above.file, data, above.marks))
        if problems:
            raise ProblemsError(problems)
    return document, files


def _below(
    document: Document,
    path: Path,
    fetched: Fetched | None,
    files: Mapping[str, Fetched | None],
    allowed: Permissions,
) -> tuple[Path, Fetched | None]:
    """Find the file that a recipe extends, and what it was fetched with. Raises ProblemsError."""
    reference = document.data[EXTENDS]
    try:
        if not isinstance(reference, str):
            raise UserError(f"found {found(reference)}, expected a path or a reference")
        below, owner = _find(reference, path, fetched, allowed)
        _check_chain(below, files)
    except (UserError, OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
        raise ProblemsError([document.problem((EXTENDS,), f"extends: {error}")]) from error
    return below, owner


def _find(
    reference: str, above: Path, fetched: Fetched | None, allowed: Permissions
) -> tuple[Path, Fetched | None]:
    """Find the file that the recipe in the file `above` extends. Raises UserError."""
    if is_remote(reference):
        below = fetch_below(reference, fetched, allowed)
        return below.file, below
    if fetched is not None:
        why = escape_reason(fetched, above.parent, reference) or alone_reason(fetched, reference)
        if why is not None:
            raise UserError(why)
    file = recipe_in(_tidy(above.parent / expand_home(reference)))
    if fetched is not None and (why := escape_reason(fetched, file.parent, file.name)):
        raise UserError(why)
    return file, fetched


def fetch_below(reference: str, above: Fetched | None, allowed: Permissions) -> Fetched:
    """Fetch what a recipe extends; `above` is what that recipe was fetched with, None for the
    user's own. Raises UserError, and UnfetchedError where this process may not."""
    if above is not None and (why := url_refusal(above, reference)):
        raise UserError(why)
    known = allowed.known.get(known_as(reference, above, allowed))
    if isinstance(known, str):
        raise UserError(known)
    if known is not None:
        return known
    if above is not None and not allowed.fetches:
        raise UnfetchedError(reference, above.pinned)
    return fetch(reference, access_to(reference, above.pinned, allowed.as_me) if above else None)


def known_as(reference: str, above: Fetched | None, allowed: Permissions) -> tuple[str, bool]:
    """Make the key of `Permissions.known`: the reference, and whether it is read as the user."""
    return reference, above is None or access_to(reference, above.pinned, allowed.as_me) is None


def follow_agreed(
    path: Path,
    fetched: Fetched | None,
    has_agreed: Callable[[Fetched], bool],
    allowed: Permissions,
) -> tuple[Permissions, bool]:
    """Follow what a recipe extends as long as that is the user's own, or the user agreed to it.

    Returns the permissions with what was fetched on the way, and whether something was met that the
    user hasn't agreed to; its text isn't read. Raises ProblemsError.
    """
    files: dict[str, Fetched | None] = {str(path): fetched}
    known = dict(allowed.known)
    while fetched is None or has_agreed(fetched):
        document = load_document(path) if _may_extend(path) else None
        if document is None or not isinstance(document.data, dict) or EXTENDS not in document.data:
            return replace(allowed, known=known), False
        above = fetched
        path, fetched = _below(document, path, above, files, allowed)
        files[str(path)] = fetched
        if fetched is not None and fetched is not above:
            known[known_as(fetched.reference, above, allowed)] = fetched
    return replace(allowed, known=known), True


def _may_extend(path: Path) -> bool:
    """Tell by the bytes of a file, which is quick, whether it can have the key `extends`."""
    try:
        content = path.read_bytes()
        return EXTENDS.encode() in content or b"\\" in content  # which may escape it
    except OSError:
        return False  # loading it says why


def _tidy(path: Path) -> Path:
    """Take the `..` out of a path where that leads to the same file."""
    short = Path(os.path.normpath(path))
    return short if short.resolve() == path.resolve() else path


def _check_chain(path: Path, files: Mapping[str, Fetched | None]) -> None:
    chain = [Path(file) for file in files]
    if path.resolve() in [file.resolve() for file in chain]:
        names = " -> ".join(str(file) for file in (*chain, path))
        raise UserError(f"{names} goes round in a circle; remove one of these `extends`")
    if len(chain) >= _LONGEST:
        raise UserError(f"more than {_LONGEST} recipes extend each other")


def merge_documents(below: Document, above: Document) -> tuple[Document, list[Problem]]:
    """Put the document `above` over `below`; the problems are removals of what isn't there."""
    merge = _Merge(below, above)
    data = merge.visit((), below.data, above.data)
    return Document(above.file, data, merge.marks), list(_nothing_to_remove(below, above))


class _Merge:
    def __init__(self, below: Document, above: Document) -> None:
        self.below = below
        self.above = above
        self.marks: dict[Place, Mark] = {}

    def visit(self, place: Place, below: Any, above: Any) -> Any:
        """Merge the values at a place that both documents have."""
        if above is None and place:
            return _REMOVED
        if not isinstance(below, dict) or not isinstance(above, dict):
            return self.copied(self.above, place, above)
        if _is_another(place, below, above):
            return self.copied(self.above, place, above)
        self.marks[place] = self.above.mark(place)
        merged: dict[str, Any] = {}
        for key in {**below, **above}:
            at = (*place, key)
            if key not in above:
                value = self.copied(self.below, at, below[key])
            elif key not in below or (key == "args" and _is_another_backend(place, below, above)):
                value = self.copied(self.above, at, above[key])
            else:
                value = self.visit(at, below[key], above[key])
            if value is not _REMOVED:
                merged[key] = value
        if _is_another_backend(place, below, above) and "args" not in above:
            merged.pop("args", None)
        return merged

    def copied(self, document: Document, place: Place, value: Any) -> Any:
        """Copy a value, and the marks of everything in it."""
        self.marks[place] = document.mark(place)
        if isinstance(value, dict):
            return {k: self.copied(document, (*place, k), child) for k, child in value.items()}
        if isinstance(value, list):
            return [self.copied(document, (*place, i), child) for i, child in enumerate(value)]
        return value


def _is_another(place: Place, below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Tell whether the value above replaces the one below instead of merging with it.

    Parameters belong to their op, and what a `{file: ...}` stands for is one text.
    """
    if len(place) == 2 and place[0] == "graph":
        return "op" in above and above["op"] != below.get("op")
    return len(place) > 2 and place[0] == "graph" and ({"file"} in (set(below), set(above)))


def _is_another_backend(place: Place, below: dict[str, Any], above: dict[str, Any]) -> bool:
    """Tell whether an engine changes its backend, to which its arguments belong."""
    if len(place) != 2 or place[0] != "engines":
        return False
    return above.get("backend", below.get("backend")) != below.get("backend")


def _nothing_to_remove(below: Document, above: Document) -> Iterable[Problem]:
    for section, noun in _NAMED.items():
        old, new = below.data.get(section), above.data.get(section)
        names = old if isinstance(old, dict) else {}
        for name, value in new.items() if isinstance(new, dict) else ():
            if value is None and name not in names:
                hint = did_you_mean(name, names)
                message = f"there is no {noun} {name!r} to remove by null{hint}"
                yield above.problem((section, name), message)
