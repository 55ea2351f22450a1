"""The typed formats of a source: Parquet files, datasets of the Hugging Face hub, Delta tables.

The rows of a Delta table come in the order of their ids where they have some: the order in which a
dataset's rows were committed is no part of it. Knows nothing of keys, tasks or column mappings.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.core import ColumnType
from raygen.core.access import Anonymous, file_options
from raygen.dataset import EXAMPLES, DatasetError, Folder, read_plan, scan_table
from raygen.sources.plain import PlainColumn, plain_columns, plain_rows
from raygen.sources.rows import SourceError, SourceFile, check_size

_BATCH_ROWS = 1024
_BOUNDED_BATCH_ROWS = 32
"""How many rows are unpacked before their size is known."""


def read_parquet(
    name: str, max_bytes: int | None, access: Anonymous | None, *, types_only: bool
) -> SourceFile:
    """Read a Parquet file's rows, or only their types. Raises SourceError, OSError."""
    import fsspec

    options = file_options(name, access) if "://" in name else {}
    try:
        with fsspec.open(name, "rb", **options) as file:
            parquet = pq.ParquetFile(file)
            schema = parquet.schema_arrow
            columns, classes = _columns(parquet, max_bytes), class_names(schema)
            types = {column: how.kind for column, how in columns.items()}
            if types_only:
                numbers = range(1, parquet.metadata.num_rows + 1)
                return SourceFile(name, "row", types, numbers, classes=classes)
            rows: list[dict[str, Any]] = []
            check_size(name, _declared_size(parquet.metadata), max_bytes)
            size = 0
            for batch in parquet.iter_batches(_batch_rows(max_bytes), columns=list(columns)):
                size += batch.nbytes
                check_size(name, size, max_bytes)
                rows += plain_rows(pa.Table.from_batches([batch]), columns)
            numbers = range(1, len(rows) + 1)
            return SourceFile(name, "row", types, numbers, rows, classes=classes)
    except (pa.ArrowException, ValueError) as error:  # of the latter is a file that can't be sought
        where = ", on the web from a server that sends parts of it" if "://" in name else ""
        raise SourceError(f"{name}: {error}; expected a Parquet file{where}") from error


def _batch_rows(max_bytes: int | None) -> int:
    """Return how many rows to unpack at once: a repeated value takes no room in the file, and all
    of it in memory."""
    return _BATCH_ROWS if max_bytes is None else _BOUNDED_BATCH_ROWS


def _columns(parquet: pq.ParquetFile, max_bytes: int | None) -> dict[str, PlainColumn]:
    """Look at the types, and at the first rows of columns whose types don't say enough."""
    schema = parquet.schema_arrow
    open_types = [field.name for field in schema if not _says_enough(field.type)]
    columns = plain_columns(schema.empty_table().drop_columns(open_types))
    if open_types:
        batches = parquet.iter_batches(_batch_rows(max_bytes), columns=open_types)
        first = next(batches, None)
        if first is not None:
            columns |= plain_columns(pa.Table.from_batches([first]))
    for name in open_types:
        if pa.types.is_uint64(schema.field(name).type) and _may_be_large(parquet, name):
            columns[name] = PlainColumn("json")
    return {name: columns[name] for name in schema.names if name in columns}


def _says_enough(type_: pa.DataType) -> bool:
    tests = (pa.types.is_uint64, pa.types.is_binary, pa.types.is_large_binary,
             pa.types.is_fixed_size_binary, pa.types.is_binary_view)  # fmt: skip
    return not any(test(type_) for test in tests)


def _may_be_large(parquet: pq.ParquetFile, column: str) -> bool:
    """Tell whether a column of unsigned numbers may have some beyond the signed ones."""
    metadata = parquet.metadata
    for group in map(metadata.row_group, range(metadata.num_row_groups)):
        for chunk in map(group.column, range(group.num_columns)):
            if chunk.path_in_schema == column:
                known = chunk.statistics
                if known is None or not known.has_min_max or known.max >= 2**63:
                    return True
    return False


def _declared_size(metadata: pq.FileMetaData) -> int:
    """Return the bytes that a Parquet file says it has without its packing."""
    groups = range(metadata.num_row_groups)
    return sum(int(metadata.row_group(group).total_byte_size) for group in groups)


def read_hub(path: str, max_bytes: int | None, access: Anonymous | None) -> SourceFile:
    """Read a dataset of the hub, `hf://datasets/OWNER/NAME[@REVISION][?split=...&config=...]`.

    Raises SourceError.
    """
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    parts = urlsplit(path)
    name, _, revision = parts.path.strip("/").partition("@")
    options = dict(parse_qsl(parts.query))
    if unknown := options.keys() - {"split", "config"}:
        raise SourceError(f"{path}: found {', '.join(sorted(unknown))}; expected split or config")
    split = options.get("split", "train")
    try:
        rows = load_dataset(
            name,
            options.get("config"),
            split=split,
            revision=revision or None,
            token=False if access is not None else None,
        )
    except (DatasetsError, OSError, ValueError) as error:
        raise SourceError(
            f"can't load {path}: {error}; check the name, split and config, the network, and for "
            "a gated dataset that you are logged in (`hf auth login`)"
        ) from error
    table = rows.with_format("arrow")[:]
    check_size(path, table.nbytes, max_bytes)
    return replace(from_arrow(path, table), classes=class_names(rows.features.arrow_schema))


def read_delta(table: str, max_bytes: int | None, access: Anonymous | None) -> SourceFile:
    """Read the current rows of a Delta table. Raises SourceError."""
    import polars as pl

    options = access.table_options(table) if access else None
    ours = _is_ours(table)
    # In a dataset no part may lead out of the dataset, in another table none out of the table.
    folder = Folder.at(_dataset_of(table) if ours else table, options)
    try:
        frame = scan_table(folder, EXAMPLES if ours else "").collect()
        check_size(table, int(frame.estimated_size()), max_bytes)
        source = from_arrow(table, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        nested = _json_columns(folder) if ours else set()
    except (DatasetError, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"can't read the table {table}: {error}") from error
    # What a dataset's rows are doesn't hang on the plan that made them.
    left_out = {"plan"} if ours else set()
    rows = [{k: v for k, v in row.items() if k not in left_out} for row in source.rows]
    if "id" in source.types:
        rows.sort(key=lambda row: str(row["id"]))
    for row in rows:
        for name in nested & row.keys():
            row[name] = None if row[name] is None else json.loads(row[name])
    types: dict[str, ColumnType] = {
        name: "json" if name in nested else kind
        for name, kind in source.types.items()
        if name not in left_out
    }
    numbers = range(1, len(rows) + 1)
    return SourceFile(table, "row", types, numbers, rows, is_dataset=_is_ours(table))


def from_arrow(name: str, table: pa.Table) -> SourceFile:
    """Convert an Arrow table to rows, without columns that no prompt can hold."""
    columns = plain_columns(table)
    types = {column: how.kind for column, how in columns.items()}
    rows = plain_rows(table, columns)
    return SourceFile(name, "row", types, range(1, len(rows) + 1), rows)


def class_names(schema: pa.Schema) -> dict[str, tuple[str, ...]]:
    """Return the names of the classes behind columns of numbers, as the hub's files have them."""
    try:
        written = json.loads((schema.metadata or {})[b"huggingface"])["info"]["features"]
        return {
            column: tuple(map(str, feature["names"]))
            for column, feature in written.items()
            if isinstance(feature, Mapping) and feature.get("_type") == "ClassLabel"
        }
    except (KeyError, TypeError, ValueError):
        return {}


def _is_ours(table: str) -> bool:
    """Tell whether the table is a dataset's examples."""
    return table.rstrip("/").endswith(f"/{EXAMPLES}")


def _dataset_of(table: str) -> str:
    """Return the folder of the dataset whose examples a table is."""
    return table.rstrip("/").removesuffix(f"/{EXAMPLES}")


def _json_columns(folder: Folder) -> set[str]:
    """Return the columns that hold JSON as text, by the plan that lies with a dataset's tables."""
    plan = read_plan(folder) or {"columns": {}}
    return {name for name, kind in plan["columns"].items() if kind == "json"}
