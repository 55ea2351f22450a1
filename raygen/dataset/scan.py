"""A Delta table as a lazy frame. Knows nothing of what the tables of a dataset are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raygen.dataset.storage import Folder

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


def scan_table(folder: Folder, table: str = "", version: int | None = None) -> pl.LazyFrame:
    """Scan a table in the folder, or the folder itself. Raises DeltaError, OSError."""
    import polars as pl

    uri = folder.join(table) if table else folder.uri
    options = None if folder.local is not None else dict(folder.storage_options) or None
    return pl.scan_delta(_table(uri, version, options), storage_options=options)


def _table(uri: str, version: int | None, options: dict[str, str] | None) -> DeltaTable:
    """Open the table so that it names its files as their store does.

    deltalake names them as in a URL, where a space is `%20`, and polars opens what it is told.
    """
    from deltalake import DeltaTable

    class NamedTable(DeltaTable):  # type: ignore[misc]
        """A table whose files have their own names."""

        def file_uris(self, *args: object, **kwargs: object) -> list[str]:
            url = urlsplit(self.table_uri)
            root = (url.path if url.scheme == "file" else self.table_uri).rstrip("/") + "/"
            names = (name.removeprefix(root) for name in super().file_uris(*args, **kwargs))
            return [f"{uri}/{name}" for name in names]

    return NamedTable(uri, version=version, storage_options=options)
