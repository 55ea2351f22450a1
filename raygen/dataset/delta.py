"""One Delta table that a single driver appends to, guarded by the app transaction "raygen".

Knows commits and versions; knows nothing of rows, groups or what the three tables mean together.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import pyarrow as pa
from deltalake import CommitProperties, DeltaTable, Transaction
from deltalake.exceptions import CommitFailedError
from deltalake.transaction import AddAction

from raygen.dataset.folder import Folder, storage_errors
from raygen.dataset.log import RECORD
from raygen.dataset.tables import DataFile, FencedError

APP = "raygen"
"""The app id of every commit: deltalake refuses a commit of it on a handle that is behind."""

_CONFIGURATION = {"delta.enableExpiredLogCleanup": "false"}


class GuardedTable:
    """A table handle whose every commit must be the version right after the one it has seen."""

    def __init__(self, folder: Folder, name: str, schema: pa.Schema) -> None:
        """Open the table, or create it empty. Raises DatasetError."""
        self.folder = folder
        self.name = name
        self.uri = folder.join(name)
        self._options = dict(folder.storage_options)
        with storage_errors("create the table", self.uri):
            if not DeltaTable.is_deltatable(self.uri, self._options):
                if folder.local is not None:
                    (folder.local / name).mkdir(parents=True, exist_ok=True)
                DeltaTable.create(
                    self.uri,
                    schema,
                    mode="ignore",
                    configuration=_CONFIGURATION,
                    storage_options=self._options,
                )
        self.reopen()

    def reopen(self) -> None:
        """Look at the newest version, whoever wrote it. Raises DatasetError."""
        with storage_errors("open the table", self.uri):
            self._table = DeltaTable(self.uri, storage_options=self._options)

    @property
    def version(self) -> int:
        """The version this handle has seen last."""
        return int(self._table.version())

    @property
    def applied(self) -> int:
        """The newest group number committed here, -1 before the first."""
        number = self._table.transaction_version(APP)
        return -1 if number is None else int(number)

    def active(self) -> frozenset[str]:
        """The paths of the files that are in the table now."""
        return frozenset(pa.table(self._table.get_add_actions()).column("path").to_pylist())

    def commit(
        self,
        number: int,
        files: Sequence[DataFile],
        *,
        schema: pa.Schema,
        record: Mapping[str, Any] | None = None,
        replace: bool = False,
    ) -> None:
        """Commit files as group `number`; with `replace` all older files go out in the same commit.

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

    def _guarded(
        self,
        write: Callable[[CommitProperties], object],
        number: int,
        record: Mapping[str, Any] | None,
    ) -> None:
        before = self.version
        metadata = {RECORD: json.dumps(record)} if record else None
        properties = CommitProperties(
            custom_metadata=metadata,
            max_commit_retries=0,
            app_transactions=[Transaction(APP, number)],
        )
        with storage_errors("commit", self.uri):
            try:
                write(properties)
            except CommitFailedError as error:
                # A full disk fails a commit too; only a newer version means another driver.
                self._table.update_incremental()
                if self.version > before:
                    raise self._fenced(before + 1) from error
                raise
            self._table.update_incremental()
        if self.version != before + 1:
            raise self._fenced(before + 1)

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
