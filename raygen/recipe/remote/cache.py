"""Cache fetched recipes by their pins, and remember which of them the user agreed to run.

Knows folders; knows nothing of where a recipe comes from.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from raygen.core import UserError, digest, make_private
from raygen.engines.models import cache_folder
from raygen.recipe.remote.ref import Fetched

CACHE_VERSION = 1
"""The version of the cache's layout."""

_AGREED = "agreed"
_HASH = "sha256:"


def find_cached(location: str, pin: str) -> Path | None:
    """Find the folder of what was fetched from a location under a pin; None if not cached.

    None too where its files are no longer those that were fetched.
    """
    folder = _folder(location, pin)
    if folder.is_symlink() or not folder.is_dir():
        return None
    try:
        kept = pin if pin.startswith(_HASH) else _content_file(folder).read_text("ascii").strip()
        return folder.resolve() if content_hash(folder) == kept else None
    except (OSError, ValueError):  # no record of the content, or one that can't be read
        return None


def store_fetched(location: str, fill: Callable[[Path], str]) -> tuple[Path, str]:
    """Fetch into the cache: `fill` writes into a folder and returns the pin.

    Returns the folder in the cache and the pin. Raises UserError.
    """
    base = _base()
    try:
        make_private(base)
        with tempfile.TemporaryDirectory(prefix=".fetching-", dir=base) as temporary:
            files = Path(temporary) / "files"
            files.mkdir()
            pin = fill(files)
            folder = _folder(location, pin)
            if find_cached(location, pin) is None:
                _put(files, folder, Path(temporary))
    except OSError as error:
        raise UserError(
            f"can't keep a fetched recipe in {base}: {error.strerror or error}; make room, or set "
            "RAYGEN_CACHE to a folder that can be written",
            1,
        ) from error
    return folder.resolve(), pin


def content_hash(folder: Path) -> str:
    """Hash a folder's files: their names, and their contents or where their links lead."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_symlink():
            content = b"link\0" + os.fsencode(path.readlink())
        elif path.is_file():
            content = hashlib.sha256(path.read_bytes()).hexdigest().encode()
        else:
            continue
        name = os.fsencode(path.relative_to(folder).as_posix())
        total.update(name + b"\0" + content + b"\n")
    return f"{_HASH}{total.hexdigest()}"


def has_agreed(fetched: Fetched) -> bool:
    """Tell whether the user agreed to run exactly this content."""
    file = _agreement(fetched)
    try:
        is_own = not file.is_symlink() and file.stat().st_uid == os.getuid()
        return is_own and json.loads(file.read_text("utf-8"))["pinned"] == fetched.pinned
    except (OSError, ValueError, TypeError, KeyError):
        return False  # a damaged one is asked about again


def remember_agreement(fetched: Fetched) -> None:
    """Remember that the user agreed to run exactly this content. Raises UserError."""
    file = _agreement(fetched)
    try:
        make_private(file.parent)
        _write(file, json.dumps(fetched.to_json()) + "\n")
    except OSError as error:
        raise UserError(
            f"can't write down in {file} that you agreed: {error.strerror or error}; make room, or "
            "set RAYGEN_CACHE to a folder that can be written",
            1,
        ) from error


def _put(files: Path, folder: Path, temporary: Path) -> None:
    """Move fetched files to their folder in the cache, in place of damaged ones."""
    kept = content_hash(files)
    with suppress(FileNotFoundError):
        folder.rename(temporary / "damaged")
    _write(_content_file(folder), kept + "\n")
    try:
        files.rename(folder)
    except OSError:
        # Another process was faster.
        if folder.is_symlink() or not folder.is_dir() or content_hash(folder) != kept:
            raise


def _write(file: Path, text: str) -> None:
    """Write a file whole, in place of whatever has its name."""
    descriptor, draft = tempfile.mkstemp(prefix=".", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as stream:
            stream.write(text)
        Path(draft).replace(file)
    except BaseException:
        Path(draft).unlink(missing_ok=True)
        raise


def _content_file(folder: Path) -> Path:
    return folder.with_name(f"{folder.name}.content")


def _base() -> Path:
    return cache_folder() / "recipes"


def _folder(location: str, pin: str) -> Path:
    names = [name for name in location.split("/") if not name.endswith((".yaml", ".yml"))]
    name = next(filter(None, reversed(names)), "")
    plain = "".join(sign if sign.isalnum() else "-" for sign in name)
    return _base() / f"{plain}-{digest('recipe', CACHE_VERSION, location, pin)[:16]}"


def _agreement(fetched: Fetched) -> Path:
    return _base() / _AGREED / f"{digest('agreed', CACHE_VERSION, fetched.pinned)}.json"
