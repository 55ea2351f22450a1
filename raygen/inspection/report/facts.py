"""What a dataset says of itself, read once: its plan, its counts, its calls by node.

Knows nothing of pages.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from raygen.core import Task, task_of
from raygen.dataset import Dataset, DatasetError, DatasetStatus, storage_errors

if TYPE_CHECKING:
    import polars as pl


@dataclass(frozen=True, slots=True)
class Use:
    """What one node asked of one engine. `seconds` are summed over its calls."""

    node: str
    engine: str
    calls: int
    reused: int
    prompt_tokens: int
    output_tokens: int
    seconds: float
    slowest: float


@dataclass(frozen=True, slots=True)
class Facts:
    """A dataset, the plan that made it, and what became of its rows."""

    dataset: Dataset
    plan: Mapping[str, Any]
    status: DatasetStatus
    uses: tuple[Use, ...]

    @property
    def task(self) -> Task:
        """The task, with the labels of the recipe."""
        return task_of(self.plan["task"], self.plan["labels"])

    def examples(self) -> pl.LazyFrame:
        """The examples of this plan."""
        import polars as pl

        return self.dataset.examples().filter(pl.col("plan") == self.status.plan)

    def collect(self, frame: pl.LazyFrame) -> pl.DataFrame:
        """A frame, read. Raises DatasetError."""
        with storage_errors("read the table", self.dataset.folder.uri):
            return frame.collect()


def read_facts(folder: str) -> Facts:
    """The facts of the dataset in a folder. Raises DatasetError where there is none."""
    dataset = Dataset.open(folder)
    status = dataset.status()
    plan = dataset.plan(status.plan)
    if plan is None:
        raise DatasetError(
            f"{dataset.folder.uri} has no plan.json of its newest rows; `raygen apply` writes it: "
            "run it once more, then the report",
            exit_code=2,
        )
    return Facts(dataset, plan, status, _uses(dataset, status.plan))


def _uses(dataset: Dataset, plan: str) -> tuple[Use, ...]:
    import polars as pl

    sums = (
        dataset.transcripts()
        .filter(pl.col("plan") == plan)
        .group_by("node", "engine")
        .agg(
            pl.len(),
            pl.col("reused").sum(),
            pl.col("prompt_tokens").sum(),
            pl.col("output_tokens").sum(),
            pl.col("seconds").sum().alias("seconds"),
            pl.col("seconds").max().alias("slowest"),
        )
        .sort("node", "engine")
    )
    with storage_errors("read the table", dataset.folder.uri):
        return tuple(Use(*row) for row in sums.collect().iter_rows())
