"""The keyed copy of a source: its rows with their keys, copied once for the actors.

Knows rows and keys; knows nothing of file formats, plans or Ray.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from raygen.core import ColumnType
from raygen.dataset import IDENTITY, Folder, storage_errors
from raygen.sources.chosen import SourceRow
from raygen.sources.rows import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

SOURCE_VERSION = 1
"""The version of the keyed copy under `source/`."""

_INVALID = "$invalid"
_GROUP_ROWS = 1024
_GROUPS_HELD = 4


class KeyedSource:
    """The keyed copy of a source, whose rows are read a few at a time by ordinal. Thread-safe."""

    def __init__(self, folder: Folder, name: str) -> None:
        """Open the copy at the path `name` in `folder`. Raises DatasetError."""
        import io

        import pyarrow.parquet as pq

        self.name = name
        self._where = folder.join(name)
        self._lock = threading.Lock()
        with storage_errors("read the keyed source", self._where):
            file = folder.local / name if folder.local else io.BytesIO(folder.read_bytes(name))
            self._file = pq.ParquetFile(file)
        self.total: int = self._file.metadata.num_rows
        self.left_out = int((self._file.schema_arrow.metadata or {}).get(b"left_out", 0))
        """How many rows repeat an earlier one and are no rows of the source."""
        notes = (self._file.schema_arrow.metadata or {}).get(b"notes")
        self.notes: tuple[str, ...] = tuple(json.loads(notes)) if notes else ()
        """How the source was read, for people."""
        self.invalid: Mapping[int, str] = self._invalid()
        """Why a row doesn't fit its task, by ordinal."""
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, by ordinal. Raises DatasetError."""
        return self.column("key")

    @property
    def fitting(self) -> list[int]:
        """The ordinals of the rows that fit their task."""
        return [ordinal for ordinal in range(self.total) if ordinal not in self.invalid]

    def column(self, name: str) -> list[Any]:
        """Read a column's values of all rows, by ordinal. Raises DatasetError."""
        with self._lock, storage_errors("read the keyed source", self._where):
            values: list[Any] = self._file.read([name])[name].to_pylist()
        return values

    def read(self, ordinals: Sequence[int]) -> list[tuple[str, dict[str, Any]]]:
        """Read the key and data of these rows, in the order of `ordinals`. Raises DatasetError."""
        by_group: dict[int, list[int]] = defaultdict(list)
        for ordinal in ordinals:
            by_group[ordinal // _GROUP_ROWS].append(ordinal)
        rows_by_ordinal: dict[int, tuple[str, dict[str, Any]]] = {}
        for group, members in by_group.items():
            table = self._group(group)
            member_rows = table.take([ordinal % _GROUP_ROWS for ordinal in members])
            rows_by_ordinal.update(zip(members, _decode(member_rows), strict=True))
        return [rows_by_ordinal[ordinal] for ordinal in ordinals]

    def _invalid(self) -> dict[int, str]:
        if _INVALID not in self._file.schema_arrow.names:
            return {}
        reasons = enumerate(self.column(_INVALID))
        return {ordinal: reason for ordinal, reason in reasons if reason is not None}

    def _group(self, group: int) -> pa.Table:
        with self._lock, storage_errors("read the keyed source", self._where):
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group)
                if len(self._groups) > _GROUPS_HELD:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]


def open_keyed(folder: Folder, name: str) -> KeyedSource:
    """Open a keyed copy that `write_copy` wrote. Raises DatasetError."""
    return KeyedSource(folder, name)


def write_copy(
    rows: Sequence[SourceRow],
    types: Mapping[str, ColumnType],
    folder: Folder,
    left_out: int,
    notes: Sequence[str] = (),
) -> KeyedSource:
    """Write the keyed copy of rows with columns of these types under `source/`.

    `left_out` counts rows that repeat an earlier one, `notes` say how the source was read. Raises
    SourceError for values that it can't hold, DatasetError if it can't be written.
    """
    metadata = {"version": str(SOURCE_VERSION), "left_out": str(left_out)}
    if notes:
        metadata["notes"] = json.dumps(list(notes))
    table = _encode(rows, types).replace_schema_metadata(metadata)
    return KeyedSource(folder, _write(table, folder))


def _encode(rows: Sequence[SourceRow], types: Mapping[str, ColumnType]) -> pa.Table:
    """Encode the keyed copy: `key` and the columns, nested values as JSON text; and why a row
    doesn't fit, where any doesn't."""
    import pyarrow as pa

    from raygen.dataset import ARROW_TYPES

    fields = [pa.field("key", pa.string())]
    arrays = [pa.array([row.key for row in rows], pa.string())]
    if any(row.invalid for row in rows):
        fields.append(pa.field(_INVALID, pa.string()))
        arrays.append(pa.array([_encodable(row.invalid) or None for row in rows], pa.string()))
    for name, kind in types.items():
        if name in (*IDENTITY, _INVALID):
            continue
        values = [row.data.get(name) for row in rows]
        if kind == "json":
            values = [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
        try:
            arrays.append(pa.array(list(map(_encodable, values)), ARROW_TYPES[kind]))
        except pa.ArrowException as error:
            raise SourceError(
                f"column {name!r} of the source can't be kept as {kind}: {error}; correct its "
                "values"
            ) from error
        fields.append(pa.field(name, ARROW_TYPES[kind], metadata={"type": kind}))
    return pa.table(arrays, schema=pa.schema(fields))


def _encodable(value: Any) -> Any:
    """Write half a character, which no file can hold, as a question mark."""
    if isinstance(value, str) and not value.isascii():
        return value.encode("utf-8", "replace").decode()
    return list(map(_encodable, value)) if isinstance(value, list) else value


def _decode(table: pa.Table) -> list[tuple[str, dict[str, Any]]]:
    nested = [
        field.name for field in table.schema if (field.metadata or {}).get(b"type") == b"json"
    ]
    decoded = []
    for row in table.to_pylist():
        key = row.pop("key")
        row.pop(_INVALID, None)
        for name in nested:
            if row[name] is not None:
                row[name] = json.loads(row[name])
        decoded.append((key, row))
    return decoded


def _write(table: pa.Table, folder: Folder) -> str:
    """Write the copy under the hash of its content, unless it is already there."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = pa.BufferOutputStream()
    pq.write_table(table, sink, compression="zstd", row_group_size=_GROUP_ROWS)
    content = sink.getvalue().to_pybytes()
    name = f"source/{hashlib.blake2b(content, digest_size=16).hexdigest()}.parquet"
    with storage_errors("write the keyed source", folder.join(name)):
        if not folder.exists(name):
            folder.write_bytes(name, content)
    return name
