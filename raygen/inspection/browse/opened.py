"""A dataset opened to be looked at: its newest plan, its task, the source rows by their keys.

Knows nothing of which rows are looked at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raygen.core import ColumnType, Task, task_of
from raygen.dataset import ROWS, Dataset, DatasetError, last_record, newest_version, storage_errors
from raygen.sources import KeyedSource, open_keyed

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Opened:
    """A dataset and its newest plan, as plan.json has it."""

    dataset: Dataset
    written: Mapping[str, Any]
    source: KeyedSource | None
    """None where the copy of the source rows is gone."""
    ordinals: Mapping[str, int]

    @classmethod
    def at(cls, folder: str) -> Opened:
        """The dataset in a folder. Raises DatasetError."""
        dataset = Dataset.open(folder)
        place = dataset.folder
        entry = last_record(place, newest_version(place, ROWS))
        record = entry.record if entry else None
        written = dataset.plan(record["plan"]) if record else None
        if record is None or written is None:
            raise DatasetError(
                f"{place.uri} has no rows with their plan.json; `raygen apply` writes both with "
                "the first rows that finish",
                exit_code=2,
            )
        name = record["meta"].get("source_file")
        source = open_keyed(place, name) if name and place.exists(name) else None
        keys = source.keys if source else []
        return cls(dataset, written, source, {key: at for at, key in enumerate(keys)})

    @property
    def plan_hash(self) -> str:
        """The plan's hash."""
        return str(self.written["hash"])

    @property
    def task(self) -> Task:
        """The plan's task."""
        return task_of(self.written["task"], self.written.get("labels"))

    @property
    def columns(self) -> Mapping[str, ColumnType]:
        """The columns of the examples."""
        columns: Mapping[str, ColumnType] = self.written["columns"]
        return columns

    def order(self, key: str) -> tuple[int, str]:
        """Where a source row comes; one that is no longer in the source comes last."""
        return self.ordinals.get(key, len(self.ordinals)), key

    def source_row(self, key: str) -> Mapping[str, Any]:
        """A source row's columns, empty where it isn't in the source. Raises DatasetError."""
        ordinal = self.ordinals.get(key)
        if ordinal is None or self.source is None:
            return {}
        ((_, data),) = self.source.read([ordinal])
        return data

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """A frame's rows. Raises DatasetError."""
        with storage_errors("read the table", self.dataset.folder.uri):
            return frame.collect()
