"""Fetch a recipe with the files that it names, from where files can be listed.

A text in the recipe, or in a YAML file that it names, names the listed file whose path it is. Where
nothing can be listed, on the web, the recipe comes alone. Knows nothing of how a file is got.
"""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any, Protocol

from raygen.config import parse_text
from raygen.core import ProblemsError, UserError
from raygen.core.limited import Limits, run_limited

LOCK_ENDING = ".lock.yaml"
"""The end of the name of a lock, after the recipe's own name and its variant's."""

MOST_BYTES = 64 * 2**20
MOST_LISTED = 100_000
_MOST_FILES = 200
_LONGEST_PATH, _LONGEST_NAME = 1000, 255
"""In bytes: what every file system takes."""
_SMALL = 2**16
"""The bytes of a YAML file that is quick to read, whatever it holds."""
_READING = Limits(memory=1 << 30, cpu_s=20, wall_s=60)
_MATCHING = Limits(memory=256 << 20, cpu_s=5, wall_s=20)


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
        _write(into, path, content or b"", location)
        if not path.endswith((".yaml", ".yml")):
            continue
        if listed is None:
            listed = frozenset(filter(_fits, remote.names()))
        named = _names_in(path, content or b"", listed, is_recipe=path == recipe)
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


def _fits(name: str) -> bool:
    """Tell whether a listed name can be that of a file below a folder, on every file system.

    One that isn't its own normal form would be written elsewhere.
    """
    return (
        _normal("", name) == name
        and name.isprintable()
        and len(name.encode("utf-8", "replace")) <= _LONGEST_PATH
        and all(0 < len(os.fsencode(part)) <= _LONGEST_NAME for part in name.split("/"))
    )


def _write(into: Path, path: str, content: bytes, location: str) -> None:
    """Write a new file below a folder, through no link and over no other. Raises UserError."""
    target = into / path
    try:
        if not _fits(path):
            raise ValueError("it is no path below the recipe's folder")
        target.parent.mkdir(parents=True, exist_ok=True)
        if not target.parent.resolve().is_relative_to(into.resolve()):
            raise ValueError("it leads out of the recipe's folder")
        with target.open("xb") as file:
            file.write(content)
    except (ValueError, FileExistsError, NotADirectoryError) as error:
        why = "another file has this name" if isinstance(error, OSError) else str(error)
        raise UserError(f"{location}: the file {path!r} can't be fetched: {why}") from error


def check_listed(place: str, count: int) -> None:
    """Raise UserError for a folder or a repository with more files than are looked through."""
    if count > MOST_LISTED:
        raise UserError(
            f"{place} has more than {MOST_LISTED:,} files; put the recipe, and what it names, into "
            "a folder or a repository of its own",
            1,
        )


def _normal(folder: str, path: str) -> str | None:
    """Resolve a path that starts in a folder to one from the root; None where it leads out."""
    normal = posixpath.normpath(posixpath.join(folder, path))
    return None if normal.startswith(("..", "/")) or "\\" in path or "\0" in path else normal


def _names_in(path: str, content: bytes, listed: frozenset[str], *, is_recipe: bool) -> list[str]:
    """List what the texts of a YAML file may name; of a large one in a process with limits."""
    if len(content) <= _SMALL:
        texts, locks = read_texts(path, content)
    else:
        subject = f"reading {path}"
        texts, locks = run_limited(read_texts, path, content, subject=subject, limits=_READING)
    return [*_named(path, texts, listed), *(locks if is_recipe else ())]


def read_texts(path: str, content: bytes) -> tuple[list[str], list[str]]:
    """List the texts of a YAML file that may name a file, and the locks that a recipe may have."""
    data = _data(path, content)
    texts = list(_texts(data))
    if isinstance(data, dict) and isinstance(data.get("extends"), str):
        texts.append(f"{data['extends']}/recipe.yaml")  # it may be a folder
    short = dict.fromkeys(text for text in texts if len(text) < _LONGEST_NAME)
    return list(short), list(_locks(path, data))


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


def _named(path: str, texts: Collection[str], listed: Collection[str]) -> Iterator[str]:
    """Yield the paths that texts of a YAML file are, or match as glob patterns."""
    folder = posixpath.dirname(path)
    names = [_normal(folder, text) for text in texts]
    patterns = [name for name in names if name and re.search(r"[*?]", name) and "\n" not in name]
    yield from filter(None, names)
    if patterns and listed:
        subject = f"finding the files that {path} names"
        yield from run_limited(
            match_names, patterns, sorted(listed), subject=subject, limits=_MATCHING
        )


def match_names(patterns: Collection[str], names: Collection[str]) -> list[str]:
    """List the names that match any of the glob patterns.

    It is slow for some patterns, so what a stranger wrote is matched in a process with limits.
    """
    from fsspec.utils import glob_translate

    matches = [re.compile(glob_translate(pattern)).fullmatch for pattern in patterns]
    return [name for name in names if any(match(name) for match in matches)]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value
