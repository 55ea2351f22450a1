"""Remove the files that a crash left in the tables' folders and that no commit names.

Knows nothing of groups, rows or clocks.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

from raygen.dataset.delta import GuardedTable
from raygen.dataset.log import read_entries
from raygen.dataset.storage import storage_errors


def list_data_files(tables: Iterable[GuardedTable]) -> list[str]:
    """List the data files in the tables' folders, named by a commit or not. Raises DatasetError."""
    files: list[str] = []
    for table in tables:
        with storage_errors("list the files", table.uri):
            files += table.folder.files(table.name)
    return files


def sweep(tables: Iterable[GuardedTable], listed: Collection[str]) -> int:
    """Delete the listed files that no version of their table ever named; count them.

    They must have been listed before this driver fenced off the older ones: then none is a newer
    driver's, and what an older one has committed since is named. Files of a replaced plan stay: the
    log names them, and older versions can be read. Raises DatasetError.
    """
    deleted = 0
    for table in tables:
        folder = table.folder
        with storage_errors("sweep files that no commit names", table.uri):
            active = {f"{table.name}/{path}" for path in table.active()}
            unnamed = {path for path in listed if path.startswith(f"{table.name}/")}
            if not unnamed - active:
                continue
            for entry in read_entries(folder, table.name, 0):
                named = [*(file.path for file in entry.added), *entry.merged]
                unnamed.difference_update(f"{table.name}/{path}" for path in named)
            for path in unnamed:
                folder.delete(path)
            deleted += len(unnamed)
    return deleted
