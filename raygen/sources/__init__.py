"""Reading and keying source rows."""

from raygen.sources.keyed import KeyedSource, key_source, open_keyed, scan_columns, source_keys
from raygen.sources.rows import SourceError

__all__ = [
    "KeyedSource",
    "SourceError",
    "key_source",
    "open_keyed",
    "scan_columns",
    "source_keys",
]
