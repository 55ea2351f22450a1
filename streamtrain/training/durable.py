"""Files that are on disk before they are named: no kill and no power failure shows half of one.

A name is given by a rename, which is atomic, and only to what was synced; then the folder that
holds the name is synced too. Knows nothing of what the files are.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path


def sync(path: Path) -> None:
    """Write what the system still holds of a file, or of a folder's names, to disk."""
    number = os.open(path, os.O_RDONLY)
    try:
        os.fsync(number)
    finally:
        os.close(number)


def write_text(path: Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all, in place of one that was there."""
    draft = path.with_name(f".{path.name}.tmp")
    draft.write_text(text, encoding="utf-8")
    publish(draft, path)


def publish(draft: Path, path: Path) -> None:
    """Name a draft in the same folder `path`: a file, or a folder whose files are synced already.

    A file takes the place of another; a folder needs a name that is free.
    """
    sync(draft)
    draft.replace(path)
    sync(path.parent)


def remove_folder(folder: Path) -> None:
    """Remove a folder that may be half removed under a hidden name only, never under its own."""
    hidden = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    folder.replace(hidden)
    shutil.rmtree(hidden, ignore_errors=True)
