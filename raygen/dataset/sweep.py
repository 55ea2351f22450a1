"""Removes the files that a crash left in the tables' folders and that no commit names.

Knows nothing of groups or rows.
"""

from __future__ import annotations

from collections.abc import Iterable

from raygen.dataset.delta import GuardedTable
from raygen.dataset.folder import storage_errors
from raygen.dataset.log import read_entries


def sweep(tables: Iterable[GuardedTable], before: float) -> int:
    """Delete what no version of its table ever named and was written before a Unix time.

    Files of a replaced plan stay: the log names them and older versions can be read. Returns how
    many files went. Raises DatasetError.
    """
    deleted = 0
    for table in tables:
        folder = table.folder
        with storage_errors("sweep files that no commit names", table.uri):
            active = {f"{table.name}/{path}" for path in table.active()}
            found = {file.path for file in folder.files(table.name) if file.modified < before}
            if not found - active:
                continue
            for entry in read_entries(folder, table.name, 0):
                found.difference_update(f"{table.name}/{file.path}" for file in entry.added)
            for path in found:
                folder.delete(path)
            deleted += len(found)
    return deleted
