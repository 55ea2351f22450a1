"""Compare two datasets: recipes, locks, counts, distributions, rows.

A recipe and a dataset are compared by their recipes. Reads tables; knows nothing of how a
difference is shown.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import ColumnType, named_option
from raygen.dataset import ROWS, DatasetStatus, Folder, newest_version
from raygen.inspection.diff.distributions import (
    Shares,
    SpreadPair,
    counts,
    make_shares,
    numbers,
    spread_pair,
)
from raygen.inspection.diff.recipes import (
    RecipeDescription,
    RecipeDiff,
    compare_recipes,
    describe_recipe,
    describe_stored,
)
from raygen.inspection.diff.rows import RowsDiff, compare_rows
from raygen.inspection.opened import OpenedDataset, open_dataset
from raygen.ops import Op, all_ops
from raygen.planning import RecipeRequest, look_at
from raygen.recipe import LockDifference, lock_differences, stored_lock
from raygen.recipe.remote import Permissions, find_recipe

_RECIPES = ("git+", "hf://", "http://", "https://")
"""Prefixes of references that can't be a dataset that grows, but may be a recipe."""
_COUNTS = (
    "source", "kept", "dropped", "failed", "pending", "examples", "calls", "prompt_tokens",
    "output_tokens",
)  # fmt: skip
_SAMPLES = 3
_NUMBER = "sample"
"""The column that only numbers the samples of a row."""

NodeCounts = tuple[int, int, int]


def compare_named(
    a: str, b: str, trusted: Sequence[Path] = (), granted: Permissions | None = None
) -> RecipeDiff | DatasetDiff:
    """Compare what two paths or references name: recipes, or folders of datasets.

    Two datasets are compared with their rows, anything else by recipe. `trusted` are Python files
    with ops, `granted` is what a fetched recipe may use of the user's. Raises UserError,
    DatasetError and ProblemsError.
    """
    granted = granted or Permissions()
    left, right = _dataset(a), _dataset(b)
    if left is not None and right is not None:
        return compare_datasets(left, right, all_ops(trusted))

    def described(reference: str, dataset: OpenedDataset | None) -> RecipeDescription:
        if dataset is not None:
            return describe_stored(dataset, all_ops(trusted))
        path, fetched = find_recipe(reference)
        request = RecipeRequest(
            path,
            trusted=tuple(trusted),
            fetched=fetched,
            allowed=granted.environment,
            as_me=granted.as_me,
            allow_code=granted.code,
        )
        return look_at(describe_recipe, request, reference)

    return compare_recipes(described(a, left), described(b, right), stored=left is not right)


def _dataset(reference: str) -> OpenedDataset | None:
    if reference.startswith(_RECIPES):
        return None
    folder = Folder.at(reference)
    if folder.local is not None and not folder.local.is_dir():
        return None
    return open_dataset(folder) if newest_version(folder, ROWS) >= 0 else None


@dataclass(frozen=True, slots=True)
class DatasetDiff:
    """The differences between two datasets.

    `lock` is None unless both have a lock. `nodes` are (rows in, kept, dropped) by node, None where
    a side lacks the node. `rejects` are counts by node and reason. Pairs are (A, B).
    """

    recipe: RecipeDiff
    lock: tuple[LockDifference, ...] | None
    counts: Mapping[str, tuple[int, int]]
    nodes: Mapping[str, tuple[NodeCounts | None, NodeCounts | None]]
    rejects: Mapping[tuple[str, str], tuple[int, int]]
    shares: tuple[Shares, ...]
    spreads: tuple[SpreadPair, ...]
    rows: RowsDiff

    def to_json(self) -> dict[str, Any]:
        """Convert the differences to JSON."""
        return {
            "recipe": self.recipe.to_json(),
            "lock": None
            if self.lock is None
            else [{"what": d.key, "a": d.locked, "b": d.found} for d in self.lock],
            "counts": {name: list(pair) for name, pair in self.counts.items()},
            "nodes": {
                name: [side and dict(zip(("in", "kept", "dropped"), side, strict=True))
                       for side in pair]
                for name, pair in self.nodes.items()
            },
            "rejects": [
                {"node": node, "reason": reason, "a": a, "b": b}
                for (node, reason), (a, b) in self.rejects.items()
            ],
            "shares": [shares.to_json() for shares in self.shares],
            "spreads": [spread.to_json() for spread in self.spreads],
            "rows": self.rows.to_json(),
        }  # fmt: skip


def compare_datasets(a: OpenedDataset, b: OpenedDataset, ops: Mapping[str, Op]) -> DatasetDiff:
    """Compare the newest plans and rows of two datasets. Raises DatasetError and ProblemsError."""
    left, right = a.status, b.status
    locks = (stored_lock(a.folder), stored_lock(b.folder))
    columns = list(_columns(a, b))
    shares = [
        values
        for name, kind in columns
        if kind in ("string", "integer", "boolean")
        if (values := _shares((a, b), name)) is not None
    ]
    shared = {values.column for values in shares}
    return DatasetDiff(
        recipe=compare_recipes(describe_stored(a, ops), describe_stored(b, ops), stored=True),
        lock=tuple(lock_differences(locks[0], locks[1])) if locks[0] and locks[1] else None,
        counts={name: (getattr(left, name), getattr(right, name)) for name in _COUNTS},
        nodes={
            name: (left.nodes.get(name), right.nodes.get(name))
            for name in dict.fromkeys([*left.nodes, *right.nodes])
        },
        rejects=_rejects(left, right),
        shares=tuple(shares),
        spreads=tuple(_spreads((a, b), [(n, kind) for n, kind in columns if n not in shared])),
        rows=compare_rows(a, b, a.task.stem, _SAMPLES),
    )


def _columns(a: OpenedDataset, b: OpenedDataset) -> Iterator[tuple[str, ColumnType]]:
    """Yield the columns to compare, with types: those that a graph adds, and the answer."""
    yield "node", "string"
    added = {name for side in (a, b) for node in side.plan["nodes"] for name in node["adds"]}
    for name, kind in a.columns.items():
        compared = name != _NUMBER and (name in added or name == a.task.answer)
        if compared and b.columns.get(name) == kind:
            yield name, kind


def _shares(sides: tuple[OpenedDataset, OpenedDataset], column: str) -> Shares | None:
    """Count a column's values, options by letter; None where there are too many values."""
    by_side = []
    for side in sides:
        values = counts(side, column)
        if values is None:
            return None
        labels = side.plan.get("labels") or ()
        by_side.append({named_option(column, value, labels): n for value, n in values.items()})
    return make_shares(column, *by_side)


def _spreads(
    sides: tuple[OpenedDataset, OpenedDataset], columns: Sequence[tuple[str, ColumnType]]
) -> Iterator[SpreadPair]:
    """Yield the spread of each column that has numbers on either side."""
    for name, kind in columns:
        if kind in ("string", "integer", "number"):
            pair = spread_pair(name, kind, *(numbers(s, name, kind) for s in sides))
            if pair.a is not None or pair.b is not None:
                yield pair


def _rejects(a: DatasetStatus, b: DatasetStatus) -> dict[tuple[str, str], tuple[int, int]]:
    """Pair the counts of rejects by node and reason, most frequent first."""
    left = {(node, reason): n for node, reason, n in a.rejects}
    right = {(node, reason): n for node, reason, n in b.rejects}
    pairs = {key: (left.get(key, 0), right.get(key, 0)) for key in left.keys() | right.keys()}
    return dict(sorted(pairs.items(), key=lambda item: (-max(item[1]), item[0])))
