"""Cache fetched recipes by their pins, and remember which of them the user agreed to run.

Knows folders; knows nothing of where a recipe comes from.
"""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

from raygen.core import UserError, digest, make_private
from raygen.engines.models import cache_folder
from raygen.recipe.remote.ref import Fetched

CACHE_VERSION = 1
"""The version of the cache's layout."""

_AGREED = "agreed"


def find_cached(location: str, pin: str) -> Path | None:
    """Find the folder of what was fetched from a location under a pin; None if not cached."""
    folder = _folder(location, pin)
    return folder.resolve() if folder.is_dir() else None


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
            try:
                files.rename(folder)
            except OSError:
                if not folder.is_dir():  # it is there already, by this or another process
                    raise
    except OSError as error:
        raise UserError(
            f"can't keep a fetched recipe in {base}: {error.strerror or error}; make room, or set "
            "RAYGEN_CACHE to a folder that can be written",
            1,
        ) from error
    return folder.resolve(), pin


def has_agreed(fetched: Fetched) -> bool:
    """Tell whether the user agreed to run exactly this content."""
    return _agreement(fetched).is_file()


def remember_agreement(fetched: Fetched) -> None:
    """Remember that the user agreed to run exactly this content. Raises OSError."""
    file = _agreement(fetched)
    make_private(file.parent)
    file.write_text(json.dumps(fetched.to_json()) + "\n", "utf-8")


def _base() -> Path:
    return cache_folder() / "recipes"


def _folder(location: str, pin: str) -> Path:
    names = [name for name in location.split("/") if not name.endswith((".yaml", ".yml"))]
    name = next(filter(None, reversed(names)), "")
    plain = "".join(sign if sign.isalnum() else "-" for sign in name)
    return _base() / f"{plain}-{digest('recipe', CACHE_VERSION, location, pin)[:16]}"


def _agreement(fetched: Fetched) -> Path:
    return _base() / _AGREED / f"{digest('agreed', CACHE_VERSION, fetched.pinned)}.json"
