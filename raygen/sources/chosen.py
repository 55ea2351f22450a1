"""Choose rows of a keyed source: those that repeat no earlier one, and a fixed sample.

Knows nothing of files or tasks.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from raygen.config import did_you_mean
from raygen.core import column_text, digest, find_repeats
from raygen.sources.rows import SourceError


class SampleSpec(Protocol):
    """A fixed random part of the source; the values of the column `balance` share equally in it.

    Without `n` it is the whole source in the order of the draw.
    """

    @property
    def n(self) -> int | None: ...
    @property
    def seed(self) -> int: ...
    @property
    def balance(self) -> str | None: ...


class DeduplicateSpec(Protocol):
    """The columns that make a row a repeat of an earlier one; `near` is a similarity."""

    @property
    def on(self) -> Sequence[str]: ...
    @property
    def near(self) -> float | None: ...


@dataclass(frozen=True, slots=True)
class SourceRow:
    """A row in its task's canonical form, and its key; `invalid` says why it doesn't fit."""

    key: str
    data: dict[str, Any]
    invalid: str = ""


def no_column(path: str, column: str, where: str, columns: Iterable[str]) -> SourceError:
    """Make the error for a recipe that names a column which the source lacks.

    `path` is the source, `where` the recipe's key that names the column, `columns` those that it
    has.
    """
    names = list(columns)
    return SourceError(
        f"{path} has no column {column!r} ({where}){did_you_mean(column, names)}; "
        f"it has: {', '.join(names)}"
    )


def without_repeats(
    rows: Sequence[SourceRow], repeated: DeduplicateSpec, path: str
) -> list[SourceRow]:
    """Keep the first row of each kind, in order; no key changes."""
    columns = column_names(rows)
    for column in repeated.on:
        if column not in columns:
            raise no_column(path, column, "source.deduplicate", columns)
    texts = ["\n".join(column_text(row.data.get(name)) for name in repeated.on) for row in rows]
    earlier = find_repeats(texts, repeated.near)
    return [row for row, first in zip(rows, earlier, strict=True) if first is None]


def sample_rows(rows: Sequence[SourceRow], sample: SampleSpec, path: str) -> list[SourceRow]:
    """Choose `n` rows by a hash of key and seed, not by position, and return them in order.

    Without `n` returns all rows, in the order in which they would be chosen. Raises SourceError if
    there are too few rows, or no column `balance`.
    """
    if sample.n is not None and len(rows) < sample.n:
        raise SourceError(
            f"{path} has {len(rows)} rows; source.sample.n asks for {sample.n}; ask for fewer"
        )
    by = sample.balance
    if by is not None and not any(by in row.data for row in rows):
        raise no_column(path, by, "source.sample.balance", column_names(rows))
    drawn = sorted(rows, key=lambda row: digest("sample", sample.seed, row.key))
    # Taking every value's first row, then every value's second, ... shares as equally as can be.
    rounds: Counter[str] = Counter()
    ranked: list[tuple[int, int, SourceRow]] = []
    for rank, row in enumerate(drawn):
        value = digest(row.data.get(by)) if by is not None else str(rank)
        ranked.append((rounds[value], rank, row))
        rounds[value] += 1
    drawn = [row for _, _, row in sorted(ranked, key=lambda item: item[:2])]
    if sample.n is None:
        return drawn
    chosen = {row.key for row in drawn[: sample.n]}
    return [row for row in rows if row.key in chosen]


def column_names(rows: Sequence[SourceRow]) -> list[str]:
    """List the columns of all rows in the order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.data))
