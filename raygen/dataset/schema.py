"""The Arrow schemas of the three tables, and records as Arrow tables.

Knows nothing of files or commits.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from raygen.core import ColumnType
from raygen.dataset.records import IDENTITY, Call, LedgerLine

if TYPE_CHECKING:
    import polars as pl

ARROW_TYPES: Mapping[ColumnType, pa.DataType] = {
    "string": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "strings": pa.list_(pa.string()),
    "json": pa.string(),
}

_EXPECTED: Mapping[ColumnType, str] = {
    "integer": "an integer",
    "number": "a number",
    "strings": "a list of texts",
}

_REJECT = pa.struct([("node", pa.string()), ("reason", pa.string()), ("detail", pa.string())])

LEDGER = pa.schema(
    [
        ("key", pa.string()),
        ("plan", pa.string()),
        ("run", pa.string()),
        ("status", pa.string()),
        ("examples", pa.int64()),
        ("calls", pa.int64()),
        ("prompt_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("rejects", pa.list_(_REJECT)),
        ("error", pa.string()),
        ("transcript", pa.string()),
        ("nodes", pa.string()),
        ("reused", pa.int64()),
        ("saved_tokens", pa.int64()),
        ("retryable", pa.bool_()),
    ]
)

TRANSCRIPT = pa.schema(
    [
        ("key", pa.string()),
        ("plan", pa.string()),
        ("id", pa.string()),
        ("node", pa.string()),
        ("row", pa.string()),
        ("engine", pa.string()),
        ("model", pa.string()),
        ("revision", pa.string()),
        ("kind", pa.string()),
        ("prompt", pa.string()),
        ("sampling", pa.string()),
        ("completions", pa.string()),
        ("prompt_tokens", pa.int64()),
        ("output_tokens", pa.int64()),
        ("seconds", pa.float64()),
        ("reused", pa.bool_()),
    ]
)

_RENAMED = {"passing": "retryable"}
"""Columns of the ledger that format 2 names differently."""

_CALL_FIELDS = tuple(field.name for field in fields(Call))


def example_schema(columns: Mapping[str, ColumnType]) -> pa.Schema:
    """Make the schema of `examples/` for a plan with these columns."""
    identity = [(name, pa.string()) for name in IDENTITY]
    others = [(name, ARROW_TYPES[kind]) for name, kind in columns.items() if name not in IDENTITY]
    return pa.schema([*identity, *others])


def example_table(
    examples: Iterable[tuple[str, Mapping[str, Any]]], plan: str, columns: Mapping[str, ColumnType]
) -> pa.Table:
    """Put (key, example) pairs into a table.

    Raises pa.ArrowException, TypeError or ValueError for a value that its column can't hold.
    """
    nested = [name for name, kind in columns.items() if kind == "json"]
    records = []
    for key, example in examples:
        record = {**example, "key": key, "plan": plan}
        for name in nested:
            if record.get(name) is not None:
                record[name] = json.dumps(record[name], ensure_ascii=False, allow_nan=False)
        for name, kind in columns.items():
            _check(name, kind, record.get(name))
        records.append(record)
    return pa.Table.from_pylist(records, schema=example_schema(columns))


def transcript_table(calls: Iterable[tuple[str, Call]], plan: str) -> pa.Table:
    """Put (key, call) pairs into a table."""
    records = [
        {"key": key, "plan": plan, **{name: getattr(call, name) for name in _CALL_FIELDS}}
        for key, call in calls
    ]
    return pa.Table.from_pylist(records, schema=TRANSCRIPT)


def ledger_table(lines: Iterable[LedgerLine], plan: str, run: str) -> pa.Table:
    """Put the ledger lines of one commit into a table."""
    records = [{"plan": plan, "run": run, **asdict(line)} for line in lines]
    return pa.Table.from_pylist(records, schema=LEDGER)


def upgrade_ledger(lines: pl.LazyFrame) -> pl.LazyFrame:
    """Give ledger lines of format 2 the column names of format 3; lines of format 3 stay."""
    return lines.rename(_RENAMED, strict=False)


def _check(name: str, kind: ColumnType, value: Any) -> None:
    """Refuse what Arrow would change silently: 1.5 to 1, True to 1, a text to a list."""
    if kind == "integer":
        fits = not isinstance(value, bool) and (not isinstance(value, float) or value.is_integer())
    elif kind == "number":
        fits = not isinstance(value, bool)
    else:
        fits = kind != "strings" or value is None or isinstance(value, list | tuple)
    if not fits:
        raise ValueError(f"{name} is {value!r}; expected {_EXPECTED[kind]}")
