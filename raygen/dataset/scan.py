"""A Delta table as a lazy frame. Knows nothing of what the tables of a dataset are."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from raygen.dataset.storage import Folder

if TYPE_CHECKING:
    import polars as pl
    from deltalake import DeltaTable


def scan_table(folder: Folder, table: str = "", version: int | None = None) -> pl.LazyFrame:
    """The rows of a table in the folder, or of the folder itself. Raises DeltaError, OSError."""
    import polars as pl

    uri = folder.join(table) if table else folder.uri
    if folder.local is not None:
        return pl.scan_delta(_local_table(uri, version))
    return pl.scan_delta(uri, version=version, storage_options=dict(folder.storage_options) or None)


def _local_table(path: str, version: int | None) -> DeltaTable:
    """The table with its files as paths.

    deltalake names them as in a URL, where a space is `%20`, and polars opens what it is told.
    """
    from deltalake import DeltaTable

    class LocalTable(DeltaTable):  # type: ignore[misc]
        """A table that names its files as the disk does."""

        def file_uris(self, *args: object, **kwargs: object) -> list[str]:
            root = urlsplit(self.table_uri).path
            uris = super().file_uris(*args, **kwargs)
            return [f"{path}/{uri.removeprefix(root)}" for uri in uris]

    return LocalTable(path, version=version)
