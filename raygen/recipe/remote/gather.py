"""Fetch a recipe with the files that it names, from where files can be listed.

A text in the recipe, or in a YAML file that it names, names the listed file whose path it is. Where
nothing can be listed, on the web, the recipe comes alone. Knows nothing of how a file is got.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from raygen.config import parse_text
from raygen.core import ProblemsError, UserError

LOCK_ENDING = ".lock.yaml"
"""The end of the name of a lock, after the recipe's own name and its variant's."""

MOST_BYTES = 64 * 2**20
_MOST_FILES = 200


class Remote(Protocol):
    """Files elsewhere, by their paths from one root."""

    def read(self, path: str) -> bytes | None:
        """Read a file; None where there is no such file. Raises UserError."""
        ...

    def names(self) -> Collection[str]:
        """List the paths of all files; none where they can't be listed. Raises UserError."""
        ...


def gather(remote: Remote, location: str, recipe: str, into: Path) -> None:
    """Write a recipe and the files that it names into the folder `into`. Raises UserError.

    Args:
        remote: where they are read from.
        location: how error messages name it.
        recipe: the path of the recipe's file.
        into: a local folder.
    """
    listed: frozenset[str] | None = None
    waiting, known = [recipe], {recipe}
    size = 0
    while waiting:
        path = waiting.pop(0)
        content = remote.read(path)
        if content is None and path == recipe:
            raise UserError(f"{location} has no file {recipe!r}; correct the path of the recipe")
        size += len(content or b"")
        if size > MOST_BYTES:
            raise too_large(path)
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content or b"")
        if not path.endswith((".yaml", ".yml")):
            continue
        if listed is None:
            # A path that isn't its own normal form would be written elsewhere.
            listed = frozenset(name for name in remote.names() if _normal("", name) == name)
        data = _data(path, content or b"")
        named = [*_named(path, data, listed), *(_locks(path, data) if path == recipe else ())]
        waiting += [name for name in dict.fromkeys(named) if name in listed - known]
        known.update(waiting)
        if len(known) > _MOST_FILES:
            raise UserError(f"{recipe} names more than {_MOST_FILES} files beside it", 1)


def too_large(path: str) -> UserError:
    """Make the error of a recipe whose files are too large to be fetched with it."""
    return UserError(
        f"{path}: a recipe and the files beside it have more than {MOST_BYTES >> 20} MiB; name "
        "its data by a URL in source.path",
        1,
    )


def _normal(folder: str, path: str) -> str | None:
    """Resolve a path that starts in a folder to one from the root; None where it leads out."""
    normal = posixpath.normpath(posixpath.join(folder, path))
    return None if normal.startswith(("..", "/")) or "\\" in path or "\0" in path else normal


def _data(path: str, content: bytes) -> Any:
    try:
        return parse_text(content.decode("utf-8-sig"), path).data
    except (UnicodeDecodeError, ProblemsError):
        return None  # loading the recipe reports it, with its position


def _locks(path: str, data: Any) -> Iterator[str]:
    """Yield the paths of the locks that a recipe may have."""
    start = path.rpartition(".")[0]
    variants = data.get("variants") if isinstance(data, dict) else None
    yield f"{start}{LOCK_ENDING}"
    yield from (f"{start}.{name}{LOCK_ENDING}" for name in variants or ())


def _named(path: str, data: Any, listed: Collection[str]) -> Iterator[str]:
    """Yield the paths that the texts of a YAML file are, or match as glob patterns."""
    from fsspec.utils import glob_translate

    texts = list(_texts(data))
    if isinstance(data, dict) and isinstance(data.get("extends"), str):
        texts.append(f"{data['extends']}/recipe.yaml")  # it may be a folder
    for text in texts:
        name = _normal(posixpath.dirname(path), text) if len(text) < 300 else None
        if name is not None and re.search(r"[*?]", name) and "\n" not in name:
            yield from sorted(filter(re.compile(glob_translate(name)).fullmatch, listed))
        elif name is not None:
            yield name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value
