"""Source rows with their keys: mapped, normalised, keyed by content, copied once for the actors.

Knows the column mapping and keys; knows nothing of file formats, plans or Ray.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from raygen.core import ColumnType, Task, digest, row_key
from raygen.core.access import Anonymous
from raygen.dataset import IDENTITY, Folder, storage_errors
from raygen.sources.chosen import (
    DeduplicateSpec,
    SampleSpec,
    SourceRow,
    no_column,
    sample_rows,
    without_repeats,
)
from raygen.sources.files import read_source
from raygen.sources.rows import SourceError, SourceFile, merge_types, problems_error, rows_of

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

SOURCE_VERSION = 1
"""The version of the keyed copy under `source/`."""

_GROUP_ROWS = 1024
_GROUPS_HELD = 4


class SourceSpec(Protocol):
    """Where source rows come from; `columns` maps names in the recipe to names in the source."""

    @property
    def path(self) -> str: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def sample(self) -> SampleSpec | None: ...
    @property
    def columns(self) -> Mapping[str, str]: ...
    @property
    def repeated(self) -> DeduplicateSpec | None: ...


class KeyedSource:
    """The keyed copy of a source, whose rows are read a few at a time by ordinal. Thread-safe."""

    def __init__(self, folder: Folder, name: str) -> None:
        """Open the copy at the path `name` in `folder`. Raises DatasetError."""
        import io

        import pyarrow.parquet as pq

        self.name = name
        self._where = folder.join(name)
        with storage_errors("read the keyed source", self._where):
            file = folder.local / name if folder.local else io.BytesIO(folder.read_bytes(name))
            self._file = pq.ParquetFile(file)
        self.total: int = self._file.metadata.num_rows
        self.left_out = int((self._file.schema_arrow.metadata or {}).get(b"left_out", 0))
        """How many rows repeat an earlier one and are no rows of the source."""
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, by ordinal. Raises DatasetError."""
        return self.column("key")

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

    def _group(self, group: int) -> pa.Table:
        with self._lock, storage_errors("read the keyed source", self._where):
            if group not in self._groups:
                self._groups[group] = self._file.read_row_group(group)
                if len(self._groups) > _GROUPS_HELD:
                    self._groups.popitem(last=False)
            self._groups.move_to_end(group)
            return self._groups[group]


def open_keyed(folder: Folder, name: str) -> KeyedSource:
    """Open a keyed copy that `key_source` wrote. Raises DatasetError."""
    return KeyedSource(folder, name)


def scan_columns(
    spec: SourceSpec,
    base: Path,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> dict[str, ColumnType]:
    """Return the types of the source's columns after the mapping. Raises SourceError."""
    files = read_source(spec.path, base, types_only=True, max_bytes=max_bytes, access=access)
    types = _renamed(_types(files), _mapping(spec, files))
    for column in spec.repeated.on if spec.repeated else ():
        if column not in types:
            raise no_column(spec.path, column, "source.deduplicate", types)
    return types


@dataclass(frozen=True, slots=True)
class TakenRows:
    """The rows that a recipe takes of its source, in memory."""

    rows: Sequence[SourceRow]
    left_out: int
    types: Mapping[str, ColumnType]
    path: str

    @property
    def keys(self) -> list[str]:
        """Their keys, in order, which identify the content."""
        return [row.key for row in self.rows]

    def copied(self, folder: Folder) -> KeyedSource:
        """Write the keyed copy under `source/`.

        Raises SourceError for values that it can't hold, DatasetError if it can't be written.
        """
        table = _encode(self.rows, self.types, self.path).replace_schema_metadata(
            {"version": str(SOURCE_VERSION), "left_out": str(self.left_out)}
        )
        return KeyedSource(folder, _write(table, folder))


def take_rows(
    spec: SourceSpec,
    task: Task,
    base: Path,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> TakenRows:
    """Read, map, normalise and key the source; `max_bytes` bounds what a file may unpack to.

    A key is made of the row as its file has it, so neither `limit` nor other rows change it. Rows
    that repeat an earlier one are left out, `sample` picks rows by their keys, and `limit` keeps
    the first of the rest. Raises SourceError that counts all rows which don't fit the task.
    """
    files = read_source(spec.path, base, max_bytes=max_bytes, access=access)
    names = _mapping(spec, files)
    rows, left_out = _taken_rows(spec, task, files, names)
    return TakenRows(rows, left_out, {**_renamed(_types(files), names), **task.columns}, spec.path)


def key_source(
    spec: SourceSpec,
    task: Task,
    base: Path,
    folder: Folder,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> KeyedSource:
    """Take the rows of a source for `task` and write their keyed copy to `folder`.

    `base` is where relative paths start, `max_bytes` bounds what a file may unpack to. Raises
    SourceError and DatasetError.
    """
    return take_rows(spec, task, base, max_bytes, access).copied(folder)


def _taken_rows(
    spec: SourceSpec, task: Task, files: Sequence[SourceFile], names: Mapping[str, Sequence[str]]
) -> tuple[list[SourceRow], int]:
    """Take the rows, and count those that repeat an earlier one."""
    read = _keyed_rows(spec, task, files, names)
    rows = read if spec.repeated is None else without_repeats(read, spec.repeated, spec.path)
    left_out = len(read) - len(rows)
    if spec.sample is not None:
        rows = sample_rows(rows, spec.sample, spec.path)
    return rows[: spec.limit], left_out


def _mapping(spec: SourceSpec, files: Sequence[SourceFile]) -> dict[str, list[str]]:
    """Map each source column to the names that the spec gives it, of which it may have several."""
    columns = list(dict.fromkeys(name for file in files for name in file.types))
    for canonical, column in spec.columns.items():
        if column not in columns:
            raise no_column(spec.path, column, f"source.columns.{canonical}", columns)
    names: dict[str, list[str]] = {}
    for canonical, column in spec.columns.items():
        names.setdefault(column, []).append(canonical)
    return names


def _types(files: Sequence[SourceFile]) -> dict[str, ColumnType]:
    """Merge the types of the files by source column."""
    kinds: dict[str, set[ColumnType]] = {}
    for file in files:
        for name, kind in file.types.items():
            kinds.setdefault(name, set()).add(kind)
    return {name: merge_types(column_kinds) for name, column_kinds in kinds.items()}


def _renamed(by_column: Mapping[str, T], names: Mapping[str, Sequence[str]]) -> dict[str, T]:
    """Rename columns; a column whose name another takes is dropped."""
    taken = {name for new_names in names.values() for name in new_names}
    return {
        name: value
        for column, value in by_column.items()
        for name in names.get(column, () if column in taken else (column,))
    }


def _keyed_rows(
    spec: SourceSpec, task: Task, files: Sequence[SourceFile], names: Mapping[str, Sequence[str]]
) -> list[SourceRow]:
    takes_first = spec.sample is None and spec.repeated is None
    occurrences: Counter[str] = Counter()
    rows: list[SourceRow] = []
    problems: list[str] = []
    for file, index in rows_of(files):
        if takes_first and len(rows) + len(problems) == spec.limit:
            break
        content = _renamed(file.content(index), names)
        content = {name: value for name, value in content.items() if value is not None}
        equal = digest(content)
        key = row_key(content, occurrences[equal])
        occurrences[equal] += 1
        try:
            data = task.normalise(_renamed(file.rows[index], names))
        except ValueError as error:
            problems.append(f"{file.position(index)}: {error}")
            continue
        rows.append(SourceRow(key, data))
    if problems:
        raise problems_error(
            problems,
            f"{len(problems)} of {len(rows) + len(problems)} rows don't fit the task "
            f"{task.name!r}; correct them, or map other columns in source.columns",
        )
    return rows


def _encode(rows: Sequence[SourceRow], types: Mapping[str, ColumnType], path: str) -> pa.Table:
    """Encode the keyed copy: `key` and the columns, nested values as JSON text."""
    import pyarrow as pa

    from raygen.dataset import ARROW_TYPES

    fields = [pa.field("key", pa.string())]
    arrays = [pa.array([row.key for row in rows], pa.string())]
    for name, kind in types.items():
        if name in IDENTITY:
            continue
        values = [row.data.get(name) for row in rows]
        if kind == "json":
            values = [None if v is None else json.dumps(v, ensure_ascii=False) for v in values]
        try:
            arrays.append(pa.array(values, ARROW_TYPES[kind]))
        except (pa.ArrowException, UnicodeEncodeError) as error:
            raise SourceError(
                f"{path}: column {name!r} can't be kept as {kind}: {error}; correct its values"
            ) from error
        fields.append(pa.field(name, ARROW_TYPES[kind], metadata={"type": kind}))
    return pa.table(arrays, schema=pa.schema(fields))


def _decode(table: pa.Table) -> list[tuple[str, dict[str, Any]]]:
    nested = [
        field.name for field in table.schema if (field.metadata or {}).get(b"type") == b"json"
    ]
    decoded = []
    for row in table.to_pylist():
        key = row.pop("key")
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
