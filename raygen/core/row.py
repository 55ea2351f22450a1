"""A row on its way through a recipe's graph: its key, lineage, id and seeds.

Knows nothing of recipes, engines, files or Ray. Ids and seeds are derived, never drawn: two runs
of one plan agree on every id, and a join needs nothing else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

ColumnType = Literal["string", "integer", "number", "boolean", "strings", "json"]
"""Types a dataset's column can have; `strings` is a list of strings, `json` any nested value."""

Status = Literal["kept", "dropped", "failed"]

Lineage = tuple[tuple[str, int], ...]
"""The (node, k) pairs a row went through since the source; k is its index among its siblings."""


@dataclass(frozen=True, slots=True)
class Row:
    """A row at one point of the graph; `key` names the source row that it descends from."""

    key: str
    data: Mapping[str, Any]
    lineage: Lineage = ()

    def child(self, node: str, k: int, columns: Mapping[str, Any]) -> Row:
        """Make the k-th row that `node` makes of this one, with `columns` added or replaced."""
        return Row(self.key, {**self.data, **columns}, (*self.lineage, (node, k)))

    @property
    def id(self) -> str:
        """A 128-bit hex id derived from the row's key and lineage."""
        return digest(self.key, self.lineage)


@dataclass(frozen=True, slots=True)
class Reject:
    """Why an op dropped a row: a short machine-readable reason and a detail for people.

    `columns` are what the op had made of it; the rows of `NODE.rejects` have them.
    """

    reason: str
    detail: str = ""
    columns: Mapping[str, Any] = field(default_factory=dict, compare=False)


def digest(*parts: Any) -> str:
    """Hash JSON-able parts to 128 bits in hex, equal on every machine and Python."""
    text = json.dumps(parts, sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()


def row_key(data: Mapping[str, Any], occurrence: int = 0) -> str:
    """Make the key of a source row from its content, and its occurrence among equal rows."""
    return digest("row", data, occurrence)


def derive_seed(row: Row, node: str, k: int = 0) -> int:
    """Derive the seed, in [0, 2**31), of the k-th draw of `node` on `row`."""
    return int(digest("seed", row.key, row.lineage, node, k)[:8], 16) >> 1
