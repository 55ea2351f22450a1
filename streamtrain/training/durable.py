"""Files that are on disk before they have their name: no kill and no power failure shows half of
one.

A file or folder is synced, renamed, which is atomic, and then the folder that holds it is synced.
Knows nothing of what the files are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Flush a file, or the names in a folder, to disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file atomically, replacing an older one."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    rename(draft, path)


def rename(draft: Path, path: Path) -> None:
    """Sync a draft and rename it to `path` in the same folder: a file, or a folder whose files are
    synced already.

    A file replaces an older one; a folder needs a name that is free.
    """
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def replace_folder(draft: Path, path: Path) -> None:
    """Sync a folder with all in it and rename it to `path`, in place of an older one.

    At every instant `path` or `replaced(path)` is there and complete: the older folder is set aside
    before the new one gets its name, and removed after that.
    """
    for entry in draft.rglob("*"):
        sync(entry)
    if path.exists():
        shutil.rmtree(replaced(path), ignore_errors=True)
        path.replace(replaced(path))
    rename(draft, path)
    shutil.rmtree(replaced(path), ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Remove a folder under a hidden name, so that it is never half removed under its own."""
    shutil.rmtree(replaced(folder), ignore_errors=True)
    folder.replace(replaced(folder))
    shutil.rmtree(replaced(folder), ignore_errors=True)


def replaced(path: Path) -> Path:
    """Name the hidden folder that a folder is set aside to."""
    return path.with_name(f".{path.name}.old")
