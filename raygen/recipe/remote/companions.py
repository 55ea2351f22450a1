"""A recipe and the files beside it that it names, gathered from where files have no folder listing.

A text that reads like the name of a file (`demos.jsonl`, `prompts/x.j2`) is looked for beside the
file that says it; what isn't there is none. Knows nothing of how a file is got.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Protocol

from raygen.config import parse_text
from raygen.core import ProblemsError, UserError

LOCK_ENDING = ".lock.yaml"
"""Of the name of a recipe's lock, behind the recipe's own and its variant's."""

_YAML = (".yaml", ".yml")
_NAME = re.compile(
    r"(?:\./)*[\w.*?][\w .*?/-]{0,200}\.(?:j2|txt|md|jsonl|ndjson|json|csv|tsv|parquet|pq|ya?ml)"
    r"(?:\.gz)?"
)
_VARIANT = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*")
_MOST_FILES = 200
MOST_BYTES = 64 * 2**20


class RemoteFiles(Protocol):
    """Files elsewhere, by their paths from one root."""

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is no such file. Raises UserError."""
        ...

    def matching(self, pattern: str) -> list[str]:
        """The paths of the files that a glob matches; none where files can't be listed."""
        ...


def fetch_companions(remote: RemoteFiles, place: str, recipe: str, into: Path) -> None:
    """Write a recipe of `place`, and what it names beside it, into a folder. Raises UserError."""
    waiting, seen = [recipe], {recipe}
    size = 0
    while waiting:
        path = waiting.pop(0)
        content = remote.read(path)
        if content is None and path == recipe:
            raise UserError(f"{place} has no file {recipe!r}; correct the path of the recipe")
        if content is None:
            continue
        size += len(content)
        if size > MOST_BYTES:
            raise too_large(path)
        target = into / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content)
        if not path.endswith(_YAML):
            continue
        data = _data(path, content)
        names = [*_names(path, data), *(_locks(path, data) if path == recipe else ())]
        for name in names:
            found = remote.matching(name) if re.search(r"[*?]", name) else [name]
            waiting += [one for one in found if one not in seen]
            seen.update(found)
        if len(seen) > _MOST_FILES:
            raise UserError(f"{recipe} names more than {_MOST_FILES} files beside it", 1)


def too_large(path: str) -> UserError:
    """The error of files that are no small companions."""
    return UserError(
        f"{path}: a recipe and the files beside it have more than {MOST_BYTES >> 20} MiB; name "
        "its data by a URL in source.path",
        1,
    )


def _data(path: str, content: bytes) -> Any:
    try:
        return parse_text(content.decode("utf-8-sig"), path).data
    except (UnicodeDecodeError, ProblemsError):
        return None  # it is told with its place when the recipe is read


def _locks(path: str, data: Any) -> Iterator[str]:
    """The paths of the locks that a recipe may have."""
    start = path.rpartition(".")[0]
    yield f"{start}{LOCK_ENDING}"
    if isinstance(data, dict) and isinstance(variants := data.get("variants"), dict):
        for name in variants:
            if _VARIANT.fullmatch(str(name)):
                yield f"{start}.{name}{LOCK_ENDING}"


def _names(path: str, data: Any) -> Iterator[str]:
    """The paths of the files that a YAML file may name, without those that lead out of the root."""
    texts = list(_texts(data))
    if isinstance(data, dict) and isinstance(extends := data.get("extends"), str):
        texts.append(f"{extends}/recipe.yaml")  # it may be a folder
    for text in texts:
        if _NAME.fullmatch(text):
            name = posixpath.normpath(posixpath.join(posixpath.dirname(path), text))
            if not name.startswith(("../", "/")):
                yield name


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        for child in value:
            yield from _texts(child)
    elif isinstance(value, str):
        yield value
