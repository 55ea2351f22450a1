"""Arrow columns as plain values: which column type each becomes, and by which cast.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from raygen.core import ColumnType

_EXACT_DIGITS = 15
"""Decimals of so many digits are the same as floats."""
_PLAIN: tuple[tuple[Callable[[pa.DataType], bool], ColumnType, pa.DataType | None], ...] = (
    (pa.types.is_string, "string", None),
    (pa.types.is_large_string, "string", None),
    (pa.types.is_string_view, "string", None),
    (pa.types.is_boolean, "boolean", None),
    (pa.types.is_integer, "integer", None),
    (pa.types.is_floating, "number", None),
    (pa.types.is_duration, "integer", pa.int64()),
    (pa.types.is_temporal, "string", pa.string()),
    (pa.types.is_null, "string", pa.string()),
)
"""A test of an Arrow type, its column type, and what to cast to so that its values are JSON."""
_BYTES = (
    pa.types.is_binary,
    pa.types.is_large_binary,
    pa.types.is_fixed_size_binary,
    pa.types.is_binary_view,
)
_LISTS = (
    pa.types.is_list,
    pa.types.is_large_list,
    pa.types.is_fixed_size_list,
    pa.types.is_list_view,
)


@dataclass(frozen=True, slots=True)
class PlainColumn:
    """How a column becomes plain values: its type, and what to cast to, None for nothing."""

    kind: ColumnType
    cast: pa.DataType | None = None
    is_bytes: bool = False


def plain_columns(probe: pa.Table) -> dict[str, PlainColumn]:
    """Say how each column of a table becomes plain values, by its type and the rows of `probe`.

    Columns that no prompt can hold are left out: bytes that are no UTF-8, such as images, and what
    Arrow has no plain form of.
    """
    columns = {}
    for name in probe.column_names:
        type_ = probe.schema.field(name).type
        if any(test(type_) for test in _BYTES):
            if _are_texts(probe[name].to_pylist()):
                columns[name] = PlainColumn("string", is_bytes=True)
            continue
        kind, cast = _plain_type(type_)
        if kind is None or not _can_cast(probe[name], cast):
            continue
        columns[name] = PlainColumn("json" if _is_too_large(probe[name]) else kind, cast)
    return columns


def plain_rows(table: pa.Table, columns: Mapping[str, PlainColumn]) -> list[dict[str, Any]]:
    """Convert a table's rows. A value of bytes that is no UTF-8 is a missing one."""
    values = {name: _values(table[name], how) for name, how in columns.items()}
    return [dict(zip(values, row, strict=True)) for row in zip(*values.values(), strict=True)]


def _values(column: pa.ChunkedArray, how: PlainColumn) -> list[Any]:
    if how.is_bytes:
        return [_text(value) for value in column.to_pylist()]
    if pa.types.is_map(column.type):
        return [None if pairs is None else dict(pairs) for pairs in column.to_pylist()]
    values: list[Any] = (column.cast(how.cast) if how.cast else column).to_pylist()
    return values


def _text(value: bytes | None) -> str | None:
    try:
        return None if value is None else value.decode("utf-8")
    except UnicodeDecodeError:
        return None


def _are_texts(values: Iterable[bytes | None]) -> bool:
    known = [value for value in values if value is not None]
    return bool(known) and all(_text(value) is not None and b"\0" not in value for value in known)


def _is_too_large(column: pa.ChunkedArray) -> bool:
    """Tell whether unsigned numbers are beyond what a column of integers holds."""
    if not pa.types.is_uint64(column.type) or not len(column):
        return False
    largest = pc.max(column).as_py()
    return largest is not None and largest >= 2**63


def _can_cast(column: pa.ChunkedArray, cast: pa.DataType | None) -> bool:
    try:
        (column.cast(cast) if cast else column).to_pylist()
    except (pa.ArrowException, ValueError, OverflowError):
        return False
    return True


def _plain_type(type_: pa.DataType) -> tuple[ColumnType | None, pa.DataType | None]:
    """Return the column type and what to cast to.

    The type is None if values can't be JSON, the cast None if none is needed.
    """
    if pa.types.is_dictionary(type_):
        kind, cast = _plain_type(type_.value_type)
        return kind, cast or type_.value_type
    if pa.types.is_decimal(type_):
        is_exact = type_.precision <= _EXACT_DIGITS
        return ("number", pa.float64()) if is_exact else ("string", pa.string())
    for test, kind, cast in _PLAIN:
        if test(type_):
            return kind, cast
    if any(test(type_) for test in _LISTS):
        inner, cast = _plain_type(type_.value_type)
        outer: ColumnType | None = "strings" if inner == "string" else "json" if inner else None
        return outer, pa.list_(cast) if cast else None
    if pa.types.is_map(type_) and pa.types.is_string(type_.key_type):
        inner, cast = _plain_type(type_.item_type)
        return ("json", None) if inner and cast is None else (None, None)
    if pa.types.is_struct(type_):
        parts = [(part.name, part.type, *_plain_type(part.type)) for part in type_]
        if all(kind for _, _, kind, _ in parts):
            fields = [(name, cast or field_type) for name, field_type, _, cast in parts]
            needs_cast = any(cast for *_, cast in parts)
            return "json", pa.struct(fields) if needs_cast else None
    return None, None
