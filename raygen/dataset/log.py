"""Read the commit log of one table, entry by entry, straight from `_delta_log/`.

Every version is one JSON file, never cleaned up (`delta.enableExpiredLogCleanup=false`), so a
reader needs neither a checkpoint nor a table handle. Knows nothing of what a record means.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from raygen.dataset.records import DataFile, DatasetError
from raygen.dataset.storage import Folder, storage_errors

RECORD = "wal"
"""The key of raygen's record in a commit's metadata; its value is a JSON object as text."""

MARK = "mark"
"""The key of a commit's unique id in its metadata, by which its writer recognises it."""

_MAX_WINDOW = 32


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One version of a table: the files it added, sorted by path, those it removed, the record.

    `merged` are files that it put in place of smaller ones with the same rows (Delta's `dataChange`
    is false): nothing that a reader of rows needs to know of, so neither is among the others.

    `at` is when it was committed, in seconds since 1970; `mark` is its writer's, None in a commit
    of an older raygen.
    """

    version: int
    added: tuple[DataFile, ...]
    removed: tuple[str, ...]
    record: Mapping[str, Any] | None
    at: float
    mark: str | None
    merged: tuple[str, ...] = ()

    @property
    def only_merges(self) -> bool:
        """Whether its rows are those of the version before, in other files."""
        return bool(self.merged) and not (self.added or self.removed)


def read_entry(folder: Folder, table: str, version: int) -> LogEntry | None:
    """Read one version of a table's log, None where it isn't written yet. Raises DatasetError."""
    path = f"{table}/_delta_log/{version:020d}.json"
    with storage_errors("read the commit log", folder.join(path)):
        try:
            text = folder.read_text(path)
        except FileNotFoundError:
            return None
    try:
        return _parse(version, text)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise DatasetError(
            f"{folder.join(path)} is no commit of a table as `raygen apply` writes it ({error!r}); "
            "put the file back, or make the dataset anew in another folder",
            exit_code=2,
        ) from error


def read_entries(folder: Folder, table: str, first: int) -> Iterator[LogEntry]:
    """Read the versions from `first` up to the newest, in order. Raises DatasetError."""
    if folder.local is not None:
        while entry := read_entry(folder, table, first):
            yield entry
            first += 1
        return
    # On object storage one read is a round trip: ask for more at a time while there are more.
    window = 1
    with ThreadPoolExecutor(_MAX_WINDOW) as pool:
        while True:
            versions = range(first, first + window)
            for entry in pool.map(lambda version: read_entry(folder, table, version), versions):
                if entry is None:
                    return
                yield entry
            first += window
            window = min(2 * window, _MAX_WINDOW)


def newest_version(folder: Folder, table: str) -> int:
    """Look up the newest version of a table; -1 where there is none. Raises DatasetError."""
    from deltalake import DeltaTable

    uri = folder.join(table)
    options = dict(folder.storage_options)
    with storage_errors("read the commit log", uri):
        if not DeltaTable.is_deltatable(uri, options):
            return -1
        return int(DeltaTable(uri, storage_options=options).version())


def last_record(folder: Folder, version: int, kind: str | None = None) -> LogEntry | None:
    """Find the newest ledger entry up to `version` with a record (of a kind); None without one."""
    for number in range(version, -1, -1):
        entry = read_entry(folder, "rows", number)
        if entry and entry.record and kind in (None, entry.record["kind"]):
            return entry
    return None


def _parse(version: int, text: str) -> LogEntry:
    added: list[DataFile] = []
    removed: list[str] = []
    merged: list[str] = []
    record = mark = None
    at = 0.0
    for line in text.splitlines():
        action = json.loads(line)
        if (add := action.get("add")) and not add.get("dataChange", True):
            merged.append(unquote(add["path"]))
        elif add:
            rows = json.loads(add["stats"])["numRecords"]
            added.append(DataFile(unquote(add["path"]), _count(add["size"]), _count(rows)))
        elif remove := action.get("remove"):
            if remove.get("dataChange", True):
                removed.append(unquote(remove["path"]))
        elif info := action.get("commitInfo"):
            record = _record(info[RECORD]) if RECORD in info else None
            at = info["timestamp"] / 1000
            mark = info.get(MARK)
            if not (mark is None or isinstance(mark, str)):
                raise ValueError(f"its mark is {str(mark)[:80]}")
    added.sort(key=lambda file: file.path)
    return LogEntry(version, tuple(added), tuple(removed), record, at, mark, tuple(merged))


def _count(value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise ValueError(f"found {str(value)[:80]}, expected a number of bytes or rows")
    return value


def _record(text: str) -> dict[str, Any]:
    """Return our record of a commit. Raises ValueError for another's."""
    record = json.loads(text)
    if not isinstance(record, dict) or not isinstance(record.get("meta"), dict):
        raise ValueError(f"its record is {text[:80]}")
    if wrong := [name for name in ("kind", "plan", "run") if not isinstance(record.get(name), str)]:
        raise ValueError(f"its record has no {wrong[0]}")
    return record
