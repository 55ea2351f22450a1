"""Compare the source rows of two datasets by key, with samples of rows that differ.

Reads tables; knows nothing of recipes or of rendering.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

from raygen.core import Change
from raygen.inspection.opened import OpenedDataset

Example = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ExamplePair:
    """An example of a source row on both sides, None where a side lacks it, and its changes."""

    a: Example | None
    b: Example | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class RowDiff:
    """A source row that differs: its status, rejects and examples on both sides."""

    key: str
    text: str
    statuses: tuple[str, str]
    rejects: tuple[tuple[str, ...], tuple[str, ...]]
    pairs: tuple[ExamplePair, ...]

    def to_json(self) -> dict[str, Any]:
        """Convert the row to JSON."""
        pairs = [
            {"a": p.a, "b": p.b, "changes": [change.to_json() for change in p.changes]}
            for p in self.pairs
        ]
        return {
            "key": self.key,
            "text": self.text,
            "statuses": list(self.statuses),
            "rejects": [list(side) for side in self.rejects],
            "examples": pairs,
        }


@dataclass(frozen=True, slots=True)
class RowsDiff:
    """Counts of finished source rows, compared by key.

    `only_a` and `only_b` rows finished on one side only; `statuses` counts the others by their
    status on (A, B). Of the rows kept on both sides, `same` have equal examples, in the columns
    that both sides have, and `changed` don't.
    """

    only_a: int
    only_b: int
    statuses: Mapping[tuple[str, str], int]
    same: int
    changed: int
    columns: tuple[tuple[str, ...], tuple[str, ...]]
    """The columns that only one side's examples have."""
    samples: tuple[RowDiff, ...]

    @property
    def both(self) -> int:
        """How many rows finished on both sides."""
        return sum(self.statuses.values())

    def to_json(self) -> dict[str, Any]:
        """Convert the counts and samples to JSON."""
        return {
            "only_a": self.only_a,
            "only_b": self.only_b,
            "both": [{"a": a, "b": b, "rows": n} for (a, b), n in self.statuses.items()],
            "same": self.same,
            "changed": self.changed,
            "columns_only_a": list(self.columns[0]),
            "columns_only_b": list(self.columns[1]),
            "samples": [sample.to_json() for sample in self.samples],
        }


def compare_rows(a: OpenedDataset, b: OpenedDataset, stem: str, samples: int) -> RowsDiff:
    """Compare the source rows of two datasets by key.

    Args:
        a, b: The two sides.
        stem: The task's text column, by which a sampled row is shown.
        samples: How many rows that differ to sample.

    Raises DatasetError.
    """
    ends_a, ends_b = _ends(a), _ends(b)
    both = ends_a.keys() & ends_b.keys()
    statuses = Counter((ends_a[key], ends_b[key]) for key in both)
    columns_a, columns_b = list(a.columns), list(b.columns)
    shared = [name for name in columns_a if name in columns_b]
    contents_a, contents_b = _contents(a, shared), _contents(b, shared)
    kept_by_both = contents_a.keys() & contents_b.keys()
    changed = {key for key in kept_by_both if contents_a[key] != contents_b[key]}
    moved = {key for key in both if ends_a[key] != ends_b[key]}
    # Keys are hashes, so the first in order are a random sample.
    few = samples - 1 if moved else samples
    shown = [*sorted(changed)[:few], *sorted(moved)][:samples]
    return RowsDiff(
        only_a=len(ends_a) - len(both),
        only_b=len(ends_b) - len(both),
        statuses=dict(sorted(statuses.items())),
        same=len(kept_by_both) - len(changed),
        changed=len(changed),
        columns=(
            tuple(name for name in columns_a if name not in columns_b),
            tuple(name for name in columns_b if name not in columns_a),
        ),
        samples=tuple(_samples((a, b), shown, shared, stem)),
    )


def _ends(side: OpenedDataset) -> dict[str, str]:
    return dict(side.collect(side.ledger().select("key", "status")).iter_rows())


def _contents(side: OpenedDataset, columns: Sequence[str]) -> dict[str, list[int]]:
    """Hash each example's values of these columns; the hashes by key, sorted."""
    import polars as pl

    content = pl.struct(pl.col(sorted(columns))).struct.json_encode().hash()
    frame = side.examples().select("key", content.alias("content"))
    lists = side.collect(frame.group_by("key").agg(pl.col("content").sort()))
    return dict(lists.iter_rows())


def _samples(
    sides: tuple[OpenedDataset, OpenedDataset],
    keys: Sequence[str],
    columns: Sequence[str],
    stem: str,
) -> list[RowDiff]:
    examples = [_examples(side, keys) for side in sides]
    lines = [_lines(side, keys) for side in sides]
    diffs = []
    for key in keys:
        examples_a, examples_b = (by_key.get(key, []) for by_key in examples)
        text = next((str(e[stem]) for e in (*examples_a, *examples_b) if e.get(stem)), "")
        (status_a, rejects_a), (status_b, rejects_b) = lines[0][key], lines[1][key]
        pairs = _pairs(examples_a, examples_b, columns)
        diffs.append(RowDiff(key, text, (status_a, status_b), (rejects_a, rejects_b), pairs))
    return diffs


def _examples(side: OpenedDataset, keys: Collection[str]) -> dict[str, list[Example]]:
    import polars as pl

    chosen = side.examples().filter(pl.col("key").is_in(list(keys)))
    frame = side.collect(chosen.sort("key", "id"))
    by_key: dict[str, list[Example]] = {}
    for row in frame.iter_rows(named=True):
        by_key.setdefault(row["key"], []).append(row)
    return by_key


def _lines(side: OpenedDataset, keys: Collection[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read each row's status and its reject reasons, most frequent first, then its error."""
    import polars as pl

    frame = side.ledger().filter(pl.col("key").is_in(list(keys)))
    lines = {}
    columns = side.collect(frame.select("key", "status", "rejects", "error"))
    for row in columns.iter_rows(named=True):
        counts = Counter(f"{reject['node']}: {reject['reason']}" for reject in row["rejects"])
        reasons = [f"{n} x {reason}" if n > 1 else reason for reason, n in counts.most_common()]
        lines[row["key"]] = (row["status"], (*reasons, *([row["error"]] if row["error"] else [])))
    return lines


def _pairs(
    examples_a: Sequence[Example], examples_b: Sequence[Example], columns: Sequence[str]
) -> tuple[ExamplePair, ...]:
    """Pair examples by id, which encodes the path through the graph, the rest in order.

    Pairs without a difference in `columns` are left out.
    """
    left = {example["id"]: example for example in examples_a}
    right = {example["id"]: example for example in examples_b}
    by_id = [(left[i], right[i]) for i in left if i in right]
    rest = zip_longest(
        [example for i, example in left.items() if i not in right],
        [example for i, example in right.items() if i not in left],
    )
    pairs = []
    for a, b in (*by_id, *rest):
        changes = tuple(
            Change(name, (a or {}).get(name), (b or {}).get(name))
            for name in columns
            if (a or {}).get(name) != (b or {}).get(name)
        )
        if changes:
            pairs.append(ExamplePair(a, b, changes if a and b else ()))
    return tuple(pairs)
