"""Compare the source rows of two datasets by their keys, and show how a few of them differ.

Reads tables; knows nothing of recipes or of how it is shown.
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
    """An example of one source row on both sides; None where a side has no such one."""

    a: Example | None
    b: Example | None
    changes: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class RowDiff:
    """One source row that isn't the same: its end, its rejects and its examples on both sides."""

    key: str
    text: str
    statuses: tuple[str, str]
    rejects: tuple[tuple[str, ...], tuple[str, ...]]
    pairs: tuple[ExamplePair, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the row for a program."""
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
    """Finished source rows by key: on one side alone, or on both by how they ended.

    `same` and `changed` are those that were kept on both sides, by what is in their examples, in
    the columns that both have.
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
        """How many rows both sides have."""
        return sum(self.statuses.values())

    def to_json(self) -> dict[str, Any]:
        """Return the counts and samples for a program."""
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
    """Compare by key; `stem` is the task's text column, `samples` how many rows to show.

    Raises DatasetError.
    """
    ends_a, ends_b = _ends(a), _ends(b)
    both = ends_a.keys() & ends_b.keys()
    statuses = Counter((ends_a[key], ends_b[key]) for key in both)
    mine, theirs = list(a.columns), list(b.columns)
    shared = [name for name in mine if name in theirs]
    contents_a, contents_b = _contents(a, shared), _contents(b, shared)
    kept = contents_a.keys() & contents_b.keys()
    changed = {key for key in kept if contents_a[key] != contents_b[key]}
    moved = {key for key in both if ends_a[key] != ends_b[key]}
    # Keys are hashes, so the first by name are as good as drawn.
    few = samples - 1 if moved else samples
    shown = [*sorted(changed)[:few], *sorted(moved)][:samples]
    return RowsDiff(
        only_a=len(ends_a) - len(both),
        only_b=len(ends_b) - len(both),
        statuses=dict(sorted(statuses.items())),
        same=len(kept) - len(changed),
        changed=len(changed),
        columns=(
            tuple(name for name in mine if name not in theirs),
            tuple(name for name in theirs if name not in mine),
        ),
        samples=tuple(_samples((a, b), shown, shared, stem)),
    )


def _ends(side: OpenedDataset) -> dict[str, str]:
    return dict(side.ledger().select("key", "status").collect().iter_rows())


def _contents(side: OpenedDataset, columns: Sequence[str]) -> dict[str, list[int]]:
    """Hash each example in these columns, by key, in an order that is the same for both."""
    import polars as pl

    content = pl.struct(pl.col(sorted(columns))).struct.json_encode().hash()
    frame = side.examples().select("key", content.alias("content"))
    lists = frame.group_by("key").agg(pl.col("content").sort()).collect()
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
        mine, theirs = examples[0].get(key, []), examples[1].get(key, [])
        text = next((str(e[stem]) for e in (*mine, *theirs) if e.get(stem)), "")
        (status_a, rejects_a), (status_b, rejects_b) = lines[0][key], lines[1][key]
        pairs = _pairs(mine, theirs, columns)
        diffs.append(RowDiff(key, text, (status_a, status_b), (rejects_a, rejects_b), pairs))
    return diffs


def _examples(side: OpenedDataset, keys: Collection[str]) -> dict[str, list[Example]]:
    import polars as pl

    frame = side.examples().filter(pl.col("key").is_in(list(keys))).sort("key", "id").collect()
    by_key: dict[str, list[Example]] = {}
    for row in frame.iter_rows(named=True):
        by_key.setdefault(row["key"], []).append(row)
    return by_key


def _lines(side: OpenedDataset, keys: Collection[str]) -> dict[str, tuple[str, tuple[str, ...]]]:
    """Read how each row ended, and why parts of it were dropped, most frequent reason first."""
    import polars as pl

    frame = side.ledger().filter(pl.col("key").is_in(list(keys)))
    lines = {}
    for row in frame.select("key", "status", "rejects", "error").collect().iter_rows(named=True):
        counts = Counter(f"{reject['node']}: {reject['reason']}" for reject in row["rejects"])
        reasons = [f"{n} x {reason}" if n > 1 else reason for reason, n in counts.most_common()]
        lines[row["key"]] = (row["status"], (*reasons, *([row["error"]] if row["error"] else [])))
    return lines


def _pairs(
    mine: Sequence[Example], theirs: Sequence[Example], columns: Sequence[str]
) -> tuple[ExamplePair, ...]:
    """Pair the examples that differ: by id, which encodes the graph path; the rest in turn."""
    left = {example["id"]: example for example in mine}
    right = {example["id"]: example for example in theirs}
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
