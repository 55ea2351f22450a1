"""Source rows as plain values, each with its position in a file, and the types of their columns.

Knows nothing of formats, keys or tasks. A nested value is "json", so that a row's content never
depends on what other rows look like.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.core import ColumnType, UserError

MAX_INVALID = 0.1
"""The share of rows that may not fit their task; where more don't, the mapping must be wrong."""
_SHOWN = 5


class SourceError(UserError):
    """A source that can't be used; str() says which file and row, what was found and expected."""


@dataclass(frozen=True, slots=True)
class SourceFile:
    """The rows of one file: values by column, and the number of each row's `unit` in the file.

    `types` has the columns in the file's order. `is_dataset`: it is the examples of a dataset of
    raygen's, whose columns mean what they mean there. `classes` are the names of the classes that a
    column of numbers stands for, where the file has them.
    """

    name: str
    unit: str
    types: Mapping[str, ColumnType]
    numbers: Sequence[int] = field(default=(), repr=False)
    rows: Sequence[dict[str, Any]] = field(default=(), repr=False)
    is_dataset: bool = False
    classes: Mapping[str, Sequence[str]] = field(default_factory=dict)

    def position(self, index: int) -> str:
        """Name a row's position for people: file and line."""
        return f"{self.name}, {self.unit} {self.numbers[index]}"


def named_paths(paths: Sequence[str]) -> str:
    """Name the paths of a source for people."""
    return ", ".join(paths)


def check_size(name: str, size: int, max_bytes: int | None) -> None:
    """Raise SourceError where a fetched recipe's source has unpacked to more than it may."""
    if max_bytes is not None and size > max_bytes:
        raise SourceError(
            f"{name}: more than {max_bytes:,} bytes, unpacked, which is the limit of a source that "
            "a fetched recipe names; copy the recipe into a folder of your own, where a source may "
            "be of any size"
        )


def problems_error(problems: Sequence[str], advice: str) -> SourceError:
    """Make one error of many bad rows: the first five, how many in all, and what to do."""
    more = len(problems) - _SHOWN
    lines = [*problems[:_SHOWN], *([f"and {more} more"] if more > 0 else []), advice]
    return SourceError("\n".join(lines))


def rows_of(files: Iterable[SourceFile]) -> Iterator[tuple[SourceFile, int]]:
    """Yield all rows in order, each as its file and its index there."""
    for file in files:
        for index in range(len(file.rows)):
            yield file, index


def infer_types(rows: Iterable[Mapping[str, Any]]) -> dict[str, ColumnType]:
    """Infer the type of each column, in the order of first appearance."""
    kinds_by_column: dict[str, set[ColumnType]] = {}
    for row in rows:
        for name, value in row.items():
            kinds = kinds_by_column.setdefault(name, set())
            if value is not None:
                kinds.add(_value_type(value))
    return {name: merge_types(kinds) for name, kinds in kinds_by_column.items()}


def merge_types(kinds: set[ColumnType]) -> ColumnType:
    """Return the type that holds values of all these types."""
    if not kinds:
        return "string"
    if kinds == {"integer", "number"}:
        return "number"
    return next(iter(kinds)) if len(kinds) == 1 else "json"


def _value_type(value: Any) -> ColumnType:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer" if -(2**63) <= value < 2**63 else "json"
    if isinstance(value, float):
        return "number"
    if isinstance(value, str):
        return "string"
    if isinstance(value, list) and all(isinstance(item, str) for item in value):
        return "strings"
    return "json"
