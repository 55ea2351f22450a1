"""The rows that the page shows: a sample of the examples, and of what was dropped or failed.

At most MOST of each, spread evenly over nodes and views, or nodes and reasons. Knows nothing of how
they look.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from raygen.dataset import ROWS, last_record, newest_version
from raygen.inspection.report.facts import Facts
from raygen.sources import open_keyed

if TYPE_CHECKING:
    import polars as pl

MOST = 200
"""Examples on a page, and as many rejects."""

_SAID = 3


@dataclass(frozen=True, slots=True)
class Shown:
    """One example, or one row that was dropped or failed, with the source row it descends from.

    `said` is what the engine wrote at that node for the source row, of which one was rejected.
    """

    status: Literal["kept", "dropped", "failed"]
    key: str
    node: str
    view: str
    reason: str
    detail: str
    data: Mapping[str, Any]
    said: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Sample:
    """What is shown, and out of how many examples and rejects."""

    rows: tuple[Shown, ...]
    examples: int
    rejects: int


def sample(facts: Facts) -> Sample:
    """The rows to show. Raises DatasetError."""
    kept = _kept(facts)
    drops, total = _drops(facts)
    keys = {row["key"] for row in drops}
    sources, said = _sources(facts, keys), _said(facts, keys)
    dropped = [
        Shown(
            "failed" if row["node"] is None else "dropped",
            row["key"],
            row["node"] or "",
            "",
            row["reason"] or "",
            row["detail"] or "",
            sources.get(row["key"], {}),
            tuple(said.get((row["key"], row["node"]), ())[:_SAID]),
        )
        for row in drops
    ]
    return Sample((*kept, *dropped), facts.status.examples, total)


def _kept(facts: Facts) -> list[Shown]:
    import polars as pl

    columns: Mapping[str, str] = facts.plan["columns"]
    by = ["node", *(name for name in ("view", "variant") if columns.get(name) == "string")]
    # Which ones first, by a few short columns: the texts of all may be more than fits.
    short = facts.examples().select("id", *by).sort("id")
    ids = facts.collect(_evenly(short, by)).select("id")
    whole = facts.examples().filter(pl.col("id").is_in(ids["id"].implode()))
    frame = ids.join(facts.collect(whole), on="id", how="left", maintain_order="left")
    return [
        Shown("kept", row["key"], row["node"] or "", str(row.get("view") or ""), "", "",
              {name: _value(row[name], columns[name]) for name in columns if name in row})
        for row in frame.iter_rows(named=True)
    ]  # fmt: skip


def _drops(facts: Facts) -> tuple[list[dict[str, Any]], int]:
    """Rejects, and rows that failed with their error as the detail, and how many there are."""
    import polars as pl

    lines = facts.dataset.ledger().filter(pl.col("plan") == facts.status.plan).sort("key")
    rejects = lines.select("key", "rejects").explode("rejects").unnest("rejects").drop_nulls("node")
    failed = lines.filter(pl.col("error").is_not_null()).select(
        "key",
        pl.lit(None, pl.String).alias("node"),
        pl.lit("failed").alias("reason"),
        pl.col("error").alias("detail"),
    )
    every = pl.concat([rejects, failed])
    total = facts.collect(every.select(pl.len())).item()
    return facts.collect(_evenly(every, ["node", "reason"])).to_dicts(), int(total)


def _evenly(frame: pl.LazyFrame, by: Sequence[str]) -> pl.LazyFrame:
    """The first of each group, then the second of each, and so on."""
    import polars as pl

    turn = pl.int_range(pl.len()).over(by).alias("_turn")
    return frame.with_columns(turn).sort("_turn", *by, maintain_order=True).head(MOST).drop("_turn")


def _sources(facts: Facts, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The source rows with these keys."""
    folder = facts.dataset.folder
    entry = last_record(folder, newest_version(folder, ROWS))
    name = entry.record["meta"].get("source_file") if entry and entry.record else None
    if name is None:
        return {}
    source, wanted = open_keyed(folder, name), set(keys)
    return dict(source.read([i for i, key in enumerate(source.keys) if key in wanted]))


def _said(facts: Facts, keys: Iterable[str]) -> dict[tuple[str, str], list[str]]:
    """What was written for these source rows, by key and node."""
    import polars as pl

    calls = facts.dataset.transcripts().filter(
        (pl.col("plan") == facts.status.plan)
        & (pl.col("kind") == "generate")
        & pl.col("key").is_in(sorted(keys))
    )
    found: dict[tuple[str, str], list[str]] = defaultdict(list)
    for key, node, completions in facts.collect(
        calls.select("key", "node", "completions").sort("key", "node", "completions")
    ).iter_rows():
        found[key, node] += [str(one["text"]) for one in json.loads(completions)]
    return found


def _value(value: Any, kind: str) -> Any:
    return json.loads(value) if kind == "json" and isinstance(value, str) else value
