"""Which keyed rows of a source are taken: those that repeat no earlier one, and a fixed sample.

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
    """A fixed random part of the source; `balance` names a column whose values share equally.

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
    """A row, as its task normalised it, with its key."""

    key: str
    data: dict[str, Any]


def no_column(path: str, column: str, where: str, columns: Iterable[str]) -> SourceError:
    """Return the error of a recipe that names a column which the source doesn't have."""
    names = list(columns)
    return SourceError(
        f"{path} has no column {column!r} ({where}){did_you_mean(column, names)}; "
        f"it has: {', '.join(names)}"
    )


def without_repeats(
    rows: Sequence[SourceRow], repeated: DeduplicateSpec, path: str
) -> list[SourceRow]:
    """Return the rows that are the first of their kind, in their order; no key changes."""
    columns = column_names(rows)
    for column in repeated.on:
        if column not in columns:
            raise no_column(path, column, "source.deduplicate", columns)
    texts = ["\n".join(column_text(row.data.get(name)) for name in repeated.on) for row in rows]
    earlier = find_repeats(texts, repeated.near)
    return [row for row, first in zip(rows, earlier, strict=True) if first is None]


def sample_rows(rows: Sequence[SourceRow], sample: SampleSpec, path: str) -> list[SourceRow]:
    """Return `n` rows in their order, chosen by a hash of key and seed, not by their positions.

    Without `n` all rows, in the order in which they would be chosen.
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
    """Return the columns of all rows, in the order of first appearance."""
    return list(dict.fromkeys(name for row in rows for name in row.data))
