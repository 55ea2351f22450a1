"""Find examples by view and text, and read them by their ids.

Knows nothing of rejects.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from raygen.config import did_you_mean
from raygen.core import UserError
from raygen.dataset import DatasetError
from raygen.inspection.browse.item import Item, ItemRef
from raygen.inspection.opened import OpenedDataset

if TYPE_CHECKING:
    import polars as pl

VIEW = "view"


def find_examples(
    opened: OpenedDataset, view: str | None = None, text: str | None = None
) -> list[ItemRef]:
    """Find the examples of a view and with a text, in the order of the source.

    Raises UserError for a view that no example has, and DatasetError.
    """
    import polars as pl

    frame = opened.examples()
    if view is not None:
        if VIEW not in opened.columns:
            raise UserError(f"--view {view}: the examples of this dataset have no column {VIEW!r}")
        views = opened.collect(frame.select(pl.col(VIEW).unique().drop_nulls()))[VIEW].to_list()
        if view not in views:
            raise UserError(f"--view {view}: no example has it{did_you_mean(view, views)}")
        frame = frame.filter(pl.col(VIEW) == view)
    if text is not None:
        frame = frame.filter(
            pl.any_horizontal(
                cell.str.to_lowercase().str.contains(text.lower(), literal=True)
                for cell in _texts(opened)
            )
        )
    outputs = {name: index for index, name in enumerate(opened.plan["outputs"])}
    rows = opened.collect(frame.select("id", "key", "node")).iter_rows()
    refs = [ItemRef(*row) for row in rows]
    order = opened.source.order
    return sorted(refs, key=lambda ref: (*order(ref.key), outputs[ref.node], ref.id))


def read_examples(opened: OpenedDataset, refs: Sequence[ItemRef]) -> list[Item]:
    """Read examples with the plan's columns, JSON columns parsed. Raises DatasetError."""
    import polars as pl

    frame = opened.examples().filter(pl.col("id").is_in([ref.id for ref in refs]))
    rows = {row["id"]: row for row in opened.collect(frame).iter_rows(named=True)}
    if gone := [ref.id for ref in refs if ref.id not in rows]:
        raise DatasetError(
            f"the example {gone[0]} is gone: a run has replaced the rows of "
            f"{opened.folder.uri} meanwhile; run the same command again"
        )
    sources = opened.source.read({ref.key for ref in refs})
    return [Item(ref, opened.decode(rows[ref.id]), sources.get(ref.key, {})) for ref in refs]


def _texts(opened: OpenedDataset) -> list[pl.Expr]:
    """Select the columns that have a text to look into."""
    import polars as pl

    columns = opened.columns.items()
    texts = [pl.col(name) for name, kind in columns if kind in ("string", "json")]
    lists = [pl.col(name).list.join("\n") for name, kind in columns if kind == "strings"]
    return texts + lists
