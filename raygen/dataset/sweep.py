"""Remove the files that a crash left in the tables' folders and that no commit names.

Only files of the forms that a writer gives its own are looked at: everything else that lies there
is somebody else's. Knows nothing of groups, rows or clocks.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

from raygen.dataset.delta import GuardedTable
from raygen.dataset.log import read_entries
from raygen.dataset.storage import storage_errors

_UUID = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_OWN = re.compile(
    r"[0-9a-f]{32}\.parquet"  # a block's file
    r"|\.[0-9a-f]{32}\.parquet\.[0-9a-f]{8}\.tmp"  # its draft
    rf"|part-[0-9]{{5}}-{_UUID}-c[0-9]{{3}}(\.[a-z0-9]+)?\.parquet"  # what Delta merged or rewrote
)


def list_data_files(tables: Iterable[GuardedTable]) -> list[str]:
    """List the writers' files in the tables' folders, named by a commit or not; no links.

    Raises DatasetError.
    """
    files: list[str] = []
    for table in tables:
        with storage_errors("list the files", table.uri):
            entries = table.folder.entries(table.name)
        names = [e.name for e in entries if e.kind == "file" and _OWN.fullmatch(e.name)]
        files += [f"{table.name}/{name}" for name in names]
    return files


def sweep(tables: Iterable[GuardedTable], listed: Collection[str]) -> int:
    """Delete the listed files that no version of their table ever named; count them.

    They must have been listed before a commit of this driver to the ledger: then none is a newer
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
