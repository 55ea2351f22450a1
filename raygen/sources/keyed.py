"""Source rows with their keys: mapped, normalised, keyed by content, copied once for the actors.

Knows the column mapping, samples and keys; knows nothing of file formats, plans or Ray.
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

from raygen.dataset.folder import Folder, storage_errors
from raygen.dataset.tables import IDENTITY
from raygen.row import ColumnType, digest, row_key
from raygen.sources.files import read_source
from raygen.sources.rows import SourceError, SourceFile, merge_types, problems_error, rows_of
from raygen.task import Task
from raygen.wording import did_you_mean

if TYPE_CHECKING:
    import pyarrow as pa

T = TypeVar("T")

SOURCE_VERSION = 1
"""The version of the keyed copy under `source/`."""

_GROUP_ROWS = 1024
_GROUPS_HELD = 4


class SampleSpec(Protocol):
    """A fixed random part of the source; `balance` names a column whose values share equally."""

    @property
    def n(self) -> int: ...
    @property
    def seed(self) -> int: ...
    @property
    def balance(self) -> str | None: ...


class SourceSpec(Protocol):
    """Where the source rows come from; `columns` maps a column's name to the source's own."""

    @property
    def path(self) -> str: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def sample(self) -> SampleSpec | None: ...
    @property
    def columns(self) -> Mapping[str, str]: ...


@dataclass(frozen=True, slots=True)
class _SourceRow:
    key: str
    data: dict[str, Any]


class KeyedSource:
    """The keyed copy of a source: its rows by ordinal, read a few at a time. Safe in threads."""

    def __init__(self, folder: Folder, name: str) -> None:
        """Open the copy `name`, a path in the folder. Raises DatasetError."""
        import io

        import pyarrow.parquet as pq

        self.name = name
        self._where = folder.join(name)
        with storage_errors("read the keyed source", self._where):
            place = folder.local / name if folder.local else io.BytesIO(folder.read_bytes(name))
            self._file = pq.ParquetFile(place)
        self.total: int = self._file.metadata.num_rows
        self._groups: OrderedDict[int, pa.Table] = OrderedDict()
        self._lock = threading.Lock()

    @property
    def keys(self) -> list[str]:
        """The keys of all rows, by ordinal. Raises DatasetError."""
        with self._lock, storage_errors("read the keyed source", self._where):
            keys: list[str] = self._file.read(["key"])["key"].to_pylist()
        return keys

    def read(self, ordinals: Sequence[int]) -> list[tuple[str, dict[str, Any]]]:
        """The key and the data of these rows, in the order asked for. Raises DatasetError."""
        by_group: dict[int, list[int]] = defaultdict(list)
        for ordinal in ordinals:
            by_group[ordinal // _GROUP_ROWS].append(ordinal)
        found: dict[int, tuple[str, dict[str, Any]]] = {}
        for group, members in by_group.items():
            table = self._group(group)
            rows = table.take([ordinal % _GROUP_ROWS for ordinal in members])
            found.update(zip(members, _decode(rows), strict=True))
        return [found[ordinal] for ordinal in ordinals]

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


def scan_columns(spec: SourceSpec, base: Path) -> dict[str, ColumnType]:
    """The types of the source's columns after the mapping. Raises SourceError."""
    files = read_source(spec.path, base, types_only=True)
    return _renamed(_types(files), _mapping(spec, files))


def key_source(spec: SourceSpec, task: Task, base: Path, folder: Folder) -> KeyedSource:
    """Read, map, normalise and key the source, and write the keyed copy under `source/`.

    A key is made of the row as its file has it, so neither `limit` nor other rows change it.
    `sample` picks rows by their keys, `limit` the first of what is left. Raises SourceError for
    rows the task can't take, all counted, and DatasetError where the copy can't be written.
    """
    files = read_source(spec.path, base)
    names = _mapping(spec, files)
    rows = _keyed_rows(spec, task, files, names)
    if spec.sample is not None:
        rows = _sampled(rows, spec.sample, spec.path)
    rows = rows[: spec.limit]
    types = _renamed(_types(files), names)
    table = _encode(rows, {**types, **task.columns}, spec.path)
    return KeyedSource(folder, _write(table, folder))


def _mapping(spec: SourceSpec, files: Sequence[SourceFile]) -> dict[str, list[str]]:
    """Source column -> the names that the spec gives it; one column may have several."""
    there = list(dict.fromkeys(name for file in files for name in file.types))
    for canonical, column in spec.columns.items():
        if column not in there:
            raise SourceError(
                f"{spec.path} has no column {column!r} (source.columns.{canonical})"
                f"{did_you_mean(column, there)}; it has: {', '.join(there)}"
            )
    names: dict[str, list[str]] = {}
    for canonical, column in spec.columns.items():
        names.setdefault(column, []).append(canonical)
    return names


def _types(files: Sequence[SourceFile]) -> dict[str, ColumnType]:
    """Types by source column."""
    kinds: dict[str, set[ColumnType]] = {}
    for file in files:
        for name, kind in file.types.items():
            kinds.setdefault(name, set()).add(kind)
    return {name: merge_types(found) for name, found in kinds.items()}


def _renamed(by_column: Mapping[str, T], names: Mapping[str, Sequence[str]]) -> dict[str, T]:
    """What belongs to each column, under its new names; a column whose name one takes is gone."""
    taken = {name for given in names.values() for name in given}
    return {
        name: value
        for column, value in by_column.items()
        for name in names.get(column, () if column in taken else (column,))
    }


def _keyed_rows(
    spec: SourceSpec, task: Task, files: Sequence[SourceFile], names: Mapping[str, Sequence[str]]
) -> list[_SourceRow]:
    occurrences: Counter[str] = Counter()
    rows: list[_SourceRow] = []
    problems: list[str] = []
    for file, index in rows_of(files):
        if spec.sample is None and len(rows) + len(problems) == spec.limit:
            break
        content = _renamed(file.content(index), names)
        content = {name: value for name, value in content.items() if value is not None}
        equal = digest(content)
        key = row_key(content, occurrences[equal])
        occurrences[equal] += 1
        try:
            data = task.normalise(_renamed(file.rows[index], names))
        except ValueError as error:
            problems.append(f"{file.place(index)}: {error}")
            continue
        rows.append(_SourceRow(key, data))
    if problems:
        raise problems_error(
            problems,
            f"{len(problems)} of {len(rows) + len(problems)} rows don't fit the task "
            f"{task.name!r}; correct them, or map other columns in source.columns",
        )
    return rows


def _sampled(rows: Sequence[_SourceRow], sample: SampleSpec, path: str) -> list[_SourceRow]:
    """`n` rows in their order, chosen by a hash of key and seed, not by their positions."""
    if len(rows) < sample.n:
        raise SourceError(
            f"{path} has {len(rows)} rows; source.sample.n asks for {sample.n}; ask for fewer"
        )
    by = sample.balance
    if by is not None and not any(by in row.data for row in rows):
        there = list(dict.fromkeys(name for row in rows for name in row.data))
        raise SourceError(
            f"{path} has no column {by!r} (source.sample.balance){did_you_mean(by, there)}; "
            f"it has: {', '.join(there)}"
        )
    drawn = sorted(rows, key=lambda row: digest("sample", sample.seed, row.key))
    # Taking every value's first row, then every value's second, ... shares as equally as can be.
    rounds: Counter[str] = Counter()
    ranked: list[tuple[int, int, _SourceRow]] = []
    for place, row in enumerate(drawn):
        value = digest(row.data.get(by)) if by is not None else str(place)
        ranked.append((rounds[value], place, row))
        rounds[value] += 1
    chosen = {row.key for _, _, row in sorted(ranked, key=lambda item: item[:2])[: sample.n]}
    return [row for row in rows if row.key in chosen]


def _encode(rows: Sequence[_SourceRow], types: Mapping[str, ColumnType], path: str) -> pa.Table:
    """The keyed copy: `key` and the columns, nested values as JSON text marked in the field."""
    import pyarrow as pa

    from raygen.dataset.schema import ARROW_TYPES

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
    return pa.table(arrays, schema=pa.schema(fields, metadata={"version": str(SOURCE_VERSION)}))


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
    """Write the copy under the hash of its content; one that is there already is the same."""
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
