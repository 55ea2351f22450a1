"""Open a dataset to look at it: its newest plan, its counts, its source rows, its calls by node.

The reader behind `show`, `diff`, `report`, `card`, `push` and `export`. Knows nothing of what
these do with the rows.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from raygen.core import ColumnType, Task, make_task
from raygen.dataset import (
    ROWS,
    Dataset,
    DatasetError,
    DatasetStatus,
    Folder,
    NodeCalls,
    last_record,
    newest_version,
    storage_errors,
)
from raygen.sources import KeyedSource, open_keyed

if TYPE_CHECKING:
    import polars as pl

VIEW = "view"
"""The column that says what an example teaches, where a recipe has views."""


class SourceRows:
    """A dataset's source rows by key; empty where the dataset's keyed copy is gone."""

    def __init__(self, source: KeyedSource | None) -> None:
        self._source = source
        self._ordinals = {key: i for i, key in enumerate(source.keys)} if source else {}

    def order(self, key: str) -> tuple[int, str]:
        """Compute a sort key that orders keys as in the source, those no longer in it last."""
        return self._ordinals.get(key, len(self._ordinals)), key

    def read(self, keys: Iterable[str]) -> dict[str, Mapping[str, Any]]:
        """Read source rows by key, skipping keys not in the source. Raises DatasetError."""
        ordinals = sorted(self._ordinals[key] for key in keys if key in self._ordinals)
        return dict(self._source.read(ordinals)) if self._source else {}


@dataclass(frozen=True)  # without slots: the cached properties need a __dict__
class OpenedDataset:
    """A dataset and the plan of its newest rows, as stored in plan.json.

    Reading tables is costly: properties that do are computed once.
    """

    tables: Dataset
    plan: Mapping[str, Any]

    @property
    def folder(self) -> Folder:
        """The dataset's folder."""
        return self.tables.folder

    @property
    def plan_hash(self) -> str:
        """The plan's hash."""
        return str(self.plan["hash"])

    @property
    def task(self) -> Task:
        """The task, with the labels of the recipe."""
        return make_task(self.plan["task"], self.plan.get("labels"))

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """The types of the examples' columns, by name."""
        columns: Mapping[str, ColumnType] = self.plan["columns"]
        return columns

    def decode(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Select the plan's columns of an example, and parse its JSON columns."""
        return {
            name: json.loads(row[name]) if kind == "json" and row[name] is not None else row[name]
            for name, kind in self.columns.items()
            if name in row
        }

    def ledger(self) -> pl.LazyFrame:
        """Scan the ledger's lines of this plan."""
        return self._of_plan(self.tables.ledger())

    def examples(self) -> pl.LazyFrame:
        """Scan the examples of this plan."""
        return self._of_plan(self.tables.examples())

    def transcripts(self) -> pl.LazyFrame:
        """Scan the recorded calls of this plan."""
        return self._of_plan(self.tables.transcripts())

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """Run a query. Raises DatasetError where the storage fails."""
        with storage_errors("read the table", self.folder.uri):
            return frame.collect()

    @cached_property
    def status(self) -> DatasetStatus:
        """The counts, as of the first access. Raises DatasetError."""
        return self.tables.status()

    @cached_property
    def source(self) -> SourceRows:
        """The source rows of the newest commit. Raises DatasetError."""
        entry = last_record(self.folder, newest_version(self.folder, ROWS))
        name = entry.record["meta"].get("source_file") if entry and entry.record else None
        if name is None:
            return SourceRows(None)
        with storage_errors("look for the keyed source", self.folder.join(name)):
            is_there = self.folder.exists(name)
        return SourceRows(open_keyed(self.folder, name) if is_there else None)

    @cached_property
    def calls(self) -> tuple[NodeCalls, ...]:
        """The recorded calls by node and engine. Raises DatasetError."""
        return self.tables.calls(self.plan_hash)

    def _of_plan(self, frame: pl.LazyFrame) -> pl.LazyFrame:
        import polars as pl

        return frame.filter(pl.col("plan") == self.plan_hash)


def open_dataset(folder: Folder | str) -> OpenedDataset:
    """Open a dataset with the plan of its newest rows.

    Raises DatasetError where the folder has no dataset, or the dataset no plan.json.
    """
    dataset = Dataset.open(folder)
    entry = last_record(dataset.folder, newest_version(dataset.folder, ROWS))
    plan = dataset.plan(entry.record["plan"]) if entry and entry.record else None
    if plan is None:
        raise DatasetError(
            f"{dataset.folder.uri} has no plan.json of its newest rows; `raygen apply` writes it "
            "with the first rows that finish",
            exit_code=2,
        )
    return OpenedDataset(dataset, plan)
