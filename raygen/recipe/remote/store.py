"""Read the files of a folder on the web or on an object store, by fsspec.

Knows URLs; knows nothing of recipes.
"""

from __future__ import annotations

from typing import Any

from raygen.core import UserError
from raygen.recipe.remote.gather import MOST_BYTES, too_large

_DEPTH = 5
"""How many levels of folders of a store are listed."""


class StoreFiles:
    """The files of the folder at a URL, whatever file system of fsspec it names."""

    def __init__(self, location: str) -> None:
        """Open the folder at a URL. Raises UserError where fsspec doesn't know such URLs."""
        import fsspec

        self._location = location
        self._web = location.startswith(("http://", "https://"))
        try:
            self._files: Any = fsspec.core.url_to_fs(location)[0]
        except (ImportError, ValueError) as error:
            raise UserError(f"{location}: {error}") from error

    def read(self, path: str) -> bytes | None:
        """Read a file; None where there is no such file. Raises UserError."""
        where = f"{self._location}/{path}"
        try:
            content = self._content(where)
        except (FileNotFoundError, IsADirectoryError):
            return None
        except Exception as error:
            raise self._unreachable(where, error) from error
        if len(content) > MOST_BYTES:
            raise too_large(where)
        return content

    def names(self) -> list[str]:
        """List the paths of the files, up to five levels deep; none on the web, which has no list.

        Raises UserError.
        """
        if self._web:
            return []
        start = self._files._strip_protocol(self._location).rstrip("/") + "/"
        try:
            paths = self._files.find(start, maxdepth=_DEPTH)
        except Exception as error:
            raise self._unreachable(self._location, error) from error
        return sorted(path.removeprefix(start) for path in map(str, paths))

    def _content(self, where: str) -> bytes:
        try:
            with self._files.open(where, "rb") as file:
                content: bytes = file.read(MOST_BYTES + 1)
        except FileNotFoundError:
            if not self._web:
                raise
            # On the web fsspec says so of a server that can't be reached too, but not here.
            content = self._files.cat_file(where)
        return content

    def _unreachable(self, where: str, error: Exception) -> UserError:
        cause = str(error) or type(error).__name__
        return UserError(f"{where} can't be fetched: {cause}; check the address and the network", 1)
