"""Read the files of a folder on the web or on an object store, by fsspec.

Knows URLs; knows nothing of recipes.
"""

from __future__ import annotations

from typing import Any

from raygen.core import UserError
from raygen.core.access import Anonymous, file_options
from raygen.recipe.remote.gather import MOST_BYTES, MOST_LISTED, check_listed, too_large

_PART_BYTES = 2**20
_DEPTH = 5
"""How many levels of folders of a store are listed."""


class StoreFiles:
    """The files of the folder at a URL, whatever file system of fsspec it names."""

    def __init__(self, location: str, access: Anonymous | None = None) -> None:
        """Open the folder at a URL; `access` None reads it as the user.

        Raises UserError where fsspec doesn't know such URLs.
        """
        import fsspec

        self._location = location
        self._web = location.startswith(("http://", "https://"))
        try:
            options = file_options(location, access)
            self._files: Any = fsspec.core.url_to_fs(location, **options)[0]
        except (ImportError, ValueError, OSError) as error:
            raise UserError(f"{location}: {error}") from error
        # s3fs goes through a folder without an end unless it knows when to stop.
        is_s3 = location.startswith(("s3://", "s3a://"))
        self._listing = {"max_items": MOST_LISTED + 1} if is_s3 else {"maxdepth": _DEPTH}

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
            paths = [str(path) for path in self._files.find(start, **self._listing)]
        except Exception as error:
            raise self._unreachable(self._location, error) from error
        check_listed(self._location, len(paths))
        names = [path.removeprefix(start) for path in paths]
        return sorted(name for name in names if name.count("/") < _DEPTH)

    def _content(self, where: str) -> bytes:
        # On the web as a stream: a server may send more than it says, and no size is asked for,
        # since fsspec then takes one that can't be reached for one without the file.
        web = {"block_size": 0, "size": 1} if self._web else {}
        content = bytearray()
        with self._files.open(where, "rb", **web) as file:
            while len(content) <= MOST_BYTES and (part := file.read(_PART_BYTES)):
                content += part
        return bytes(content)

    def _unreachable(self, where: str, error: Exception) -> UserError:
        cause = str(error) or type(error).__name__
        return UserError(f"{where} can't be fetched: {cause}; check the address and the network", 1)
