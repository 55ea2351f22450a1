"""Reading and keying source rows."""

from raygen.sources.keyed import (
    KeyedSource,
    TakenRows,
    key_source,
    open_keyed,
    scan_columns,
    take_rows,
)
from raygen.sources.rows import SourceError

__all__ = [
    "KeyedSource",
    "SourceError",
    "TakenRows",
    "key_source",
    "open_keyed",
    "scan_columns",
    "take_rows",
]
