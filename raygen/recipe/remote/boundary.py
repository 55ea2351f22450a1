"""What a fetched recipe may reach: the files that were fetched with it, and what anyone can read.

Knows paths, links, addresses and hosts; knows nothing of what is read from them.
"""

from __future__ import annotations

import os
from pathlib import Path

from raygen.core.access import private_host
from raygen.recipe.remote.ref import Fetched

_ADVICE = "a fetched recipe reaches no file but those that were fetched with it"
_SCHEMES = ("hf://", "https://", "http://", "s3://", "gs://", "gcs://", "az://", "abfs://",
            "abfss://", "git+https://", "git+ssh://")  # fmt: skip
"""What needs a network, so nothing on this machine."""


def escape_reason(fetched: Fetched, folder: Path, text: str) -> str | None:
    """Say why the path `text`, which starts in `folder`, leaves what was fetched; None if not."""
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


def link_reason(fetched: Fetched, folder: Path) -> str | None:
    """Say why a folder that was fetched holds a link out of it; None where all stay inside."""
    for parent, folders, files in os.walk(folder):
        for name in sorted(folders + files):
            path = Path(parent, name)
            if path.is_symlink():
                inside = path.relative_to(folder.parent).as_posix()
                if (why := escape_reason(fetched, folder.parent, inside)) is not None:
                    return why
    return None


def alone_reason(fetched: Fetched, text: str) -> str | None:
    """Say why a file can't have come with a recipe from the web; None where it can."""
    if not fetched.is_alone:
        return None
    return (
        f"{text!r} didn't come along: of a recipe on the web only its own file is fetched; write "
        "the text into it, name rows by a URL, or publish the folder by git, on the Hugging Face "
        "hub or in an object store"
    )


def url_refusal(fetched: Fetched, url: str) -> str | None:
    """Say why what was fetched may not read from a URL; None where it may."""
    if not url.startswith(_SCHEMES) or "::" in url:
        return f"{url!r}: a fetched recipe reads its own files and {', '.join(_SCHEMES)} only"
    return private_host(url, fetched.pinned)
