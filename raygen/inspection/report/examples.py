"""Sample the rows that the page shows: examples, and rows that were dropped or failed.

At most MOST of each are sampled, spread evenly over nodes and views, or nodes and reasons. Knows
nothing of how a row is rendered.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raygen.inspection.opened import OpenedDataset

if TYPE_CHECKING:
    import polars as pl

MOST = 200
"""The most examples on a page, and the most rejects."""

_COMPLETIONS = 3


@dataclass(frozen=True, slots=True)
class ShownRow:
    """An example with its columns, or a dropped or failed row with those of its source row.

    `completions` are the first that the node received for the source row; any of them may be the
    rejected one.
    """

    status: Literal["kept", "dropped", "failed"]
    key: str
    node: str
    view: str
    reason: str
    detail: str
    data: Mapping[str, Any]
    completions: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class RowSample:
    """The sampled rows, and how many examples and rejects the dataset has."""

    rows: tuple[ShownRow, ...]
    examples: int
    rejects: int


def choose_rows(dataset: OpenedDataset) -> RowSample:
    """Sample the rows to show. Raises DatasetError."""
    examples = _sample_examples(dataset)
    drops, total = _sample_drops(dataset)
    keys = {row["key"] for row in drops}
    sources, completions = dataset.source.read(keys), _completions(dataset, keys)
    dropped = [
        ShownRow(
            "failed" if row["node"] is None else "dropped",
            row["key"],
            row["node"] or "",
            "",
            row["reason"] or "",
            row["detail"] or "",
            sources.get(row["key"], {}),
            tuple(completions.get((row["key"], row["node"]), ())[:_COMPLETIONS]),
        )
        for row in drops
    ]
    return RowSample((*examples, *dropped), dataset.status.examples, total)


def _sample_examples(dataset: OpenedDataset) -> list[ShownRow]:
    import polars as pl

    columns = dataset.columns
    by = ["node", *(name for name in ("view", "variant") if columns.get(name) == "string")]
    # Choose by a few short columns first: the texts of all examples may not fit into memory.
    short = dataset.examples().select("id", *by).sort("id")
    ids = dataset.collect(_evenly(short, by)).select("id")
    chosen = dataset.examples().filter(pl.col("id").is_in(ids["id"].implode()))
    frame = ids.join(dataset.collect(chosen), on="id", how="left", maintain_order="left")
    return [
        ShownRow("kept", row["key"], row["node"] or "", str(row.get("view") or ""), "", "",
              dataset.decode(row))
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip


def _sample_drops(dataset: OpenedDataset) -> tuple[list[dict[str, Any]], int]:
    """Sample rejects, and failed rows with the error as detail; return also the number of all."""
    import polars as pl

    lines = dataset.ledger().sort("key")
    rejects = lines.select("key", "rejects").explode("rejects").unnest("rejects").drop_nulls("node")
    failed = lines.filter(pl.col("error").is_not_null()).select(
        "key",
        pl.lit(None, pl.String).alias("node"),
        pl.lit("failed").alias("reason"),
        pl.col("error").alias("detail"),
    )
    every = pl.concat([rejects, failed])
    total = dataset.collect(every.select(pl.len())).item()
    return dataset.collect(_evenly(every, ["node", "reason"])).to_dicts(), int(total)


def _evenly(frame: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """Take up to MOST rows round-robin over the groups of `by`."""
    import polars as pl

    turn = pl.int_range(pl.len()).over(by).alias("_turn")
    return frame.with_columns(turn).sort("_turn", *by, maintain_order=True).head(MOST).drop("_turn")


def _completions(dataset: OpenedDataset, keys: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """Read the generated texts for these source rows, by key and node."""
    import polars as pl

    calls = dataset.transcripts().filter(
        (pl.col("kind") == "generate") & pl.col("key").is_in(sorted(keys))
    )
    texts: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, node, completions in dataset.collect(
        calls.select("key", "node", "completions").sort("key", "node", "completions")
    ).iter_rows():
        texts[key, node] += [str(completion["text"]) for completion in json.loads(completions)]
    return texts
