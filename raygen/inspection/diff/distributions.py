"""Compare the distributions of the examples' columns on two sides.

Texts are compared by their number of words, numbers by value, columns with few values by the share
of each value. Knows nothing of folders or rows.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

from raygen.core import ColumnType
from raygen.inspection.opened import OpenedDataset

FEW = 12
"""The most values of a column that is compared by shares."""

_FEW_WORDS = 3

BINS = 12
_QUANTILES = (0.0, 0.25, 0.5, 0.75, 1.0)


@dataclass(frozen=True, slots=True)
class Spread:
    """A summary of a column's numbers on one side; `bins` is a histogram over shared edges."""

    n: int
    mean: float
    quantiles: tuple[float, ...]
    """Minimum, quartiles, maximum."""
    bins: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class SpreadPair:
    """A column's numbers on both sides, None where a side has none; `unit` is words for texts."""

    column: str
    unit: Literal["words", ""]
    a: Spread | None
    b: Spread | None

    @property
    def constant(self) -> bool:
        """Whether all numbers on both sides are equal."""
        ends = {side and (side.quantiles[0], side.quantiles[-1]) for side in (self.a, self.b)}
        return len({end for pair in ends for end in pair or (None, 0)}) == 1

    def to_json(self) -> dict[str, Any]:
        """Convert the pair to JSON."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Shares:
    """How many examples have each value of a column, as (A, B)."""

    column: str
    values: Mapping[str, tuple[int, int]]

    def to_json(self) -> dict[str, Any]:
        """Convert the counts to JSON."""
        values = {name: list(pair) for name, pair in self.values.items()}
        return {"column": self.column, "values": values}


def make_shares(column: str, a: Mapping[str, int], b: Mapping[str, int]) -> Shares:
    """Pair the counts of both sides by value."""
    names = sorted(a.keys() | b.keys())
    return Shares(column, {name: (a.get(name, 0), b.get(name, 0)) for name in names})


def spread_pair(
    column: str, kind: ColumnType, a: Sequence[float], b: Sequence[float]
) -> SpreadPair:
    """Summarise both sides' numbers, with histograms over the same bins."""
    both = [*a, *b]
    low, high = min(both, default=0.0), max(both, default=0.0)
    unit: Literal["words", ""] = "words" if kind == "string" else ""
    return SpreadPair(column, unit, _spread(a, low, high), _spread(b, low, high))


def numbers(side: OpenedDataset, column: str, kind: ColumnType) -> list[float]:
    """Read a column's numbers: word counts of a string column, else its values.

    Raises DatasetError.
    """
    import polars as pl

    values = pl.col(column)
    measured = values.str.count_matches(r"\S+") if kind == "string" else values
    frame = side.examples().select(measured.cast(pl.Float64).alias("x"))
    values_read: list[float] = side.collect(frame.drop_nulls().drop_nans())["x"].to_list()
    return values_read


def counts(side: OpenedDataset, column: str) -> dict[Any, int] | None:
    """Count the values of a column; None where there are more than FEW, or any is long.

    Raises DatasetError.
    """
    import polars as pl

    frame = side.examples()
    most = side.collect(frame.select(pl.col(column).drop_nulls()).unique().head(FEW + 1))
    values = most[column].to_list()
    long = any(isinstance(value, str) and len(value.split()) > _FEW_WORDS for value in values)
    if len(values) > FEW or long:
        return None
    counted = frame.group_by(column).agg(pl.len()).drop_nulls()
    return dict(side.collect(counted).iter_rows())


def _spread(values: Sequence[float], low: float, high: float) -> Spread | None:
    """Summarise numbers, with a histogram from `low` to `high`; None where there are none."""
    import numpy as np

    if not values:
        return None
    bins, _ = np.histogram(values, BINS, (low, high if high > low else low + 1))
    quantiles = tuple(np.quantile(values, _QUANTILES).tolist())
    return Spread(len(values), sum(values) / len(values), quantiles, tuple(bins.tolist()))
