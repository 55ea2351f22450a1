"""Whether a path that a stranger wrote stays inside what was fetched.

Knows paths and links; knows nothing of what is read from them.
"""

from __future__ import annotations

import os
from pathlib import Path

from raygen.recipe.remote.fetched import Fetched

_ADVICE = "a fetched recipe reaches no file but those that were fetched with it"


def left(fetched: Fetched, folder: Path, text: str) -> str | None:
    """Why the path `text`, said in `folder`, leaves what was fetched; None where it stays."""
    if text.startswith("~"):
        return f"{text!r} is a path of somebody's home folder; {_ADVICE}"
    if text.lower().startswith(("file:", "local:")) or Path(text).is_absolute():
        return f"{text!r} is an absolute path; {_ADVICE}"
    if "\0" in text:
        return f"{text!r} is not a path"
    path = folder / text
    if not Path(os.path.normpath(path)).is_relative_to(fetched.root):
        return f"{text!r} leads out of what was fetched; {_ADVICE}"
    try:
        inside = path.resolve().is_relative_to(fetched.root)
    except (OSError, RuntimeError):  # RuntimeError: a loop of links, in Python up to 3.12
        return f"{text!r} can't be followed: its links go round in a circle"
    return None if inside else f"{text!r} is a link out of what was fetched; {_ADVICE}"
