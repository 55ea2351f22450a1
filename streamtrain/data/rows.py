"""Tables end to end as one sequence of rows, kept as they were read.

Knows nothing of what the rows hold or in which order they are wanted.
"""

from __future__ import annotations

from bisect import bisect_right
from typing import Any, Protocol


class RowTable(Protocol):
    """Rows by number, as pyarrow.Table has them."""

    @property
    def num_rows(self) -> int: ...
    def take(self, indices: list[int]) -> RowTable: ...
    def slice(self, offset: int, length: int) -> RowTable: ...
    def to_pylist(self) -> list[dict[str, Any]]: ...


class Rows:
    """Tables end to end, addressed by row number."""

    def __init__(self) -> None:
        self._tables: list[RowTable] = []
        self._starts: list[int] = []
        self._length = 0

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, number: int) -> dict[str, Any]:
        at = bisect_right(self._starts, number) - 1
        return self._tables[at].slice(number - self._starts[at], 1).to_pylist()[0]

    def append(self, table: RowTable) -> None:
        self._tables.append(table)
        self._starts.append(self._length)
        self._length += table.num_rows
