"""One Delta table that a single driver appends to, guarded by the app transaction "raygen".

Knows commits and versions; knows nothing of rows, groups or what the three tables mean together.
"""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import DeltaError
from deltalake.transaction import AddAction

from raygen.dataset.log import MARK, RECORD, read_entries
from raygen.dataset.records import DataFile, FencedError
from raygen.dataset.storage import Folder, retry_idempotent, storage_errors

APP = "raygen"
"""The app id of every commit: deltalake refuses a commit of it on a handle that is behind."""

_RETENTION = "delta.deletedFileRetentionDuration"
_CONFIGURATION = {
    "delta.enableExpiredLogCleanup": "false",
    # Files that were merged or replaced are still read: by followers, and for recorded calls.
    _RETENTION: "interval 36500 days",
}

_SMALL_BYTES = 8 * 2**20
_MANY_FILES = 32
_MERGED_BYTES = 64 * 2**20
_ATTEMPTS = 10


class GuardedTable:
    """A table handle that commits only the version right after the one that it has read."""

    def __init__(self, folder: Folder, name: str, schema: pa.Schema) -> None:
        """Open the table, or create it empty. Raises DatasetError."""
        self.folder = folder
        self.name = name
        self.uri = folder.join(name)
        self._options = dict(folder.storage_options)
        with storage_errors("create the table", self.uri):
            retry_idempotent(lambda: self._create(schema))
        self.reopen()

    def reopen(self) -> None:
        """Open the newest version, whoever wrote it. Raises DatasetError."""
        with storage_errors("open the table", self.uri):
            self._table = DeltaTable(self.uri, storage_options=self._options)

    def _create(self, schema: pa.Schema) -> None:
        if DeltaTable.is_deltatable(self.uri, self._options):
            return
        if self.folder.local is not None:
            (self.folder.local / self.name).mkdir(parents=True, exist_ok=True)
        DeltaTable.create(
            self.uri,
            schema,
            mode="ignore",
            configuration=_CONFIGURATION,
            storage_options=self._options,
        )

    @property
    def version(self) -> int:
        """The version that this handle has read last."""
        return int(self._table.version())

    @property
    def applied(self) -> int:
        """The newest group number committed here, -1 before the first. Raises DatasetError."""
        with storage_errors("read the table", self.uri):
            number = self._table.transaction_version(APP)
        return -1 if number is None else int(number)

    def active(self) -> frozenset[str]:
        """List the paths of the files that are in the table now. Raises DatasetError."""
        return frozenset(self._files().column("path").to_pylist())

    def _files(self) -> pa.Table:
        # deltalake may go back to the store for what the log has of a file.
        with storage_errors("read the table", self.uri):
            return pa.table(self._table.get_add_actions())

    def commit(
        self,
        number: int,
        files: Sequence[DataFile],
        *,
        schema: pa.Schema,
        record: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> None:
        """Commit files as group `number`; with `replace` the same commit takes out all others.

        Raises FencedError when anyone else has committed since this handle looked, DatasetError
        when the storage refuses. After either the handle must not commit again.
        """
        now = int(time.time() * 1000)
        actions = [_add(file, now) for file in files]
        mode: Literal["overwrite", "append"] = "overwrite" if replace else "append"
        self._guarded(
            lambda properties: self._table.create_write_transaction(
                actions, mode, schema, commit_properties=properties
            ),
            number,
            record,
        )

    def delete(self, number: int, where: str, record: Mapping[str, Any]) -> None:
        """Commit as group `number` that the rows `where` holds for are gone; there must be some.

        Raises as `commit` does.
        """
        self._guarded(
            lambda properties: self._table.delete(where, commit_properties=properties),
            number,
            record,
        )

    def compact(self) -> None:
        """Merge small files into few, by Delta's own optimize; no row changes.

        The small files stay on disk, where followers and older versions find them, so a table whose
        files a vacuum may remove is left alone, and so is one with few of them. Raises as `commit`
        does.
        """
        settings = self._table.metadata().configuration
        keeps_files = settings.get(_RETENTION) == _CONFIGURATION[_RETENTION]
        sizes = self._files().column("size_bytes").to_pylist()
        if not keeps_files or sum(size < _SMALL_BYTES for size in sizes) < _MANY_FILES:
            return
        self._guarded(
            lambda properties: self._table.optimize.compact(
                target_size=_MERGED_BYTES, max_concurrent_tasks=1, commit_properties=properties
            ),
            max(self.applied, 0),
            None,
        )

    def _guarded(
        self,
        write: Callable[[CommitProperties], object],
        number: int,
        record: Mapping[str, Any] | None,
    ) -> None:
        """Commit right after the version that this handle has read, merges of files aside.

        A driver that has finished may still merge files when the next one commits already.
        """
        for _ in range(_ATTEMPTS):
            if self._committed(write, number, record):
                return
        raise self._fenced(self.version + 1)

    def _committed(
        self,
        write: Callable[[CommitProperties], object],
        number: int,
        record: Mapping[str, Any] | None,
    ) -> bool:
        """Try to commit; tell whether it succeeded. Another driver's merge may have come first."""
        before, mark = self.version, uuid.uuid4().hex
        metadata = {MARK: mark, **({RECORD: json.dumps(record)} if record else {})}
        properties = CommitProperties(
            custom_metadata=metadata,
            max_commit_retries=0,
            app_transactions=[Transaction(APP, number)],
        )

        unsure = False

        def attempt() -> None:
            nonlocal unsure
            try:
                write(properties)
            except (OSError, DeltaError):
                # A full disk fails a commit too, and so does an answer that is lost after the
                # commit was made: only a newer version that isn't this one means another driver.
                unsure = True
                self._table.update_incremental()
                if self.version == before:
                    raise

        with storage_errors("commit", self.uri):
            retry_idempotent(attempt)
            self._table.update_incremental()
        if self.version == before + 1 and not unsure:
            return True
        entries = list(read_entries(self.folder, self.name, before + 1))
        others = [entry for entry in entries if entry.mark != mark]
        if not all(entry.only_merges for entry in others):
            raise self._fenced(before + 1)
        return len(others) < len(entries)

    def _fenced(self, expected: int) -> FencedError:
        return FencedError(
            f"another run writes to {self.uri}: its version is {self.version}, expected "
            f"{expected}; this run stops so that no row is written twice. Let the other run "
            "finish, or stop it and apply again"
        )


def _add(file: DataFile, now: int) -> AddAction:
    return AddAction(
        path=file.path,
        size=file.size,
        partition_values={},
        modification_time=now,
        data_change=True,
        stats=json.dumps({"numRecords": file.rows}),
    )
