"""The typed formats of a source: Parquet files and datasets of the Hugging Face hub.

Knows nothing of keys, tasks or column mappings.
"""

from __future__ import annotations

from collections.abc import Callable
from urllib.parse import parse_qsl, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.core import ColumnType
from raygen.sources.rows import SourceError, SourceFile

_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], ColumnType, pa.DataType | None], ...] = (
    (pa.types.is_string, "string", None),
    (pa.types.is_large_string, "string", None),
    (pa.types.is_string_view, "string", None),
    (pa.types.is_boolean, "boolean", None),
    (pa.types.is_uint64, "number", pa.float64()),
    (pa.types.is_integer, "integer", None),
    (pa.types.is_floating, "number", None),
    (pa.types.is_decimal, "number", pa.float64()),
    (pa.types.is_temporal, "string", pa.string()),
    (pa.types.is_null, "string", pa.string()),
)
"""A test of an Arrow type, its column type, and what to cast to so that its values are JSON."""


def read_parquet(name: str, *, types_only: bool) -> SourceFile:
    """Return a Parquet file's rows, or no more than its types. Raises SourceError, OSError."""
    import fsspec

    try:
        with fsspec.open(name, "rb") as file:
            if not types_only:
                return from_arrow(name, pq.read_table(file))
            parquet = pq.ParquetFile(file)
            types = from_arrow(name, parquet.schema_arrow.empty_table()).types
            return SourceFile(name, "row", types, range(1, parquet.metadata.num_rows + 1))
    except pa.ArrowException as error:
        raise SourceError(f"{name}: {error}; expected a Parquet file") from error


def read_hub(path: str) -> SourceFile:
    """`hf://datasets/OWNER/NAME[@REVISION][?split=...&config=...]`. Raises SourceError."""
    from datasets import load_dataset
    from datasets.exceptions import DatasetsError

    parts = urlsplit(path)
    name, _, revision = parts.path.strip("/").partition("@")
    options = dict(parse_qsl(parts.query))
    if unknown := options.keys() - {"split", "config"}:
        raise SourceError(f"{path}: found {', '.join(sorted(unknown))}; expected split or config")
    split = options.get("split", "train")
    try:
        rows = load_dataset(name, options.get("config"), split=split, revision=revision or None)
    except (DatasetsError, OSError, ValueError) as error:
        raise SourceError(
            f"can't load {path}: {error}; check the name, split and config, the network, and for "
            "a gated dataset that you are logged in (`hf auth login`)"
        ) from error
    return from_arrow(path, rows.with_format("arrow")[:])


def from_arrow(name: str, table: pa.Table) -> SourceFile:
    """Return an Arrow table's rows. Columns of bytes, as images are, can be in no prompt: left
    out."""
    types: dict[str, ColumnType] = {}
    columns = {}
    for column in table.column_names:
        kind, plain = _plain_type(table.schema.field(column).type)
        if kind is not None:
            types[column] = kind
            columns[column] = table[column].cast(plain) if plain else table[column]
    rows = pa.table(columns).to_pylist() if columns else []
    return SourceFile(name, "row", types, range(1, len(rows) + 1), rows)


def _plain_type(type_: pa.DataType) -> tuple[ColumnType | None, pa.DataType | None]:
    """Return the column type, None for one that can't be JSON, and what to cast to, None for
    nothing."""
    if pa.types.is_dictionary(type_):
        kind, plain = _plain_type(type_.value_type)
        return kind, plain or type_.value_type
    for test, kind, plain in _PLAIN:
        if test(type_):
            return kind, plain
    if any(test(type_) for test in (pa.types.is_list, pa.types.is_large_list)):
        inner, plain = _plain_type(type_.value_type)
        outer: ColumnType | None = "strings" if inner == "string" else "json" if inner else None
        return outer, pa.list_(plain) if plain else None
    if pa.types.is_struct(type_):
        parts = [(part.name, part.type, *_plain_type(part.type)) for part in type_]
        if all(kind for _, _, kind, _ in parts):
            return "json", pa.struct([(name, plain or own) for name, own, _, plain in parts])
    return None, None
