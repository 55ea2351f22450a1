"""Look up a dataset's examples and rejects by view, node, reason and text.

Knows nothing of terminals, samples or verdicts.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from raygen.config import did_you_mean
from raygen.core import UserError
from raygen.dataset import DatasetError
from raygen.inspection.browse.item import Item, ItemRef
from raygen.inspection.browse.rejects import Rejects
from raygen.inspection.opened import VIEW, OpenedDataset, open_dataset
from raygen.ops import all_ops

if TYPE_CHECKING:
    import polars as pl

_CHUNK = 32


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Criteria for items: examples or rejects that match every field that isn't None.

    `find` is a text that any column may contain, up to case.
    """

    rejected: bool = False
    view: str | None = None
    node: str | None = None
    reason: str | None = None
    find: str | None = None


class Catalogue:
    """The examples and rejects of a dataset's newest plan, in the order of the source."""

    def __init__(self, folder: str, trusted: Iterable[Path] = ()) -> None:
        """Open the dataset in a folder. Raises DatasetError and OpError."""
        self.opened = open_dataset(folder)
        self._rejects = Rejects(self.opened, all_ops(trusted))

    @property
    def unknown(self) -> str:
        """Why rejects can't be replayed to show what was dropped; empty where they can."""
        return self._rejects.unknown

    def examples(self) -> Items:
        """List every example. Raises DatasetError."""
        return self.items(find_examples(self.opened))

    def rejects(self) -> Items:
        """List every reject."""
        return self.items(self._rejects.find())

    def find(self, criteria: ItemFilter) -> Items:
        """Find matching items. Raises UserError for a view, node or reason that no item has."""
        if not criteria.rejected:
            refs = find_examples(self.opened, criteria.view, criteria.find)
            every = refs if criteria.node is None else find_examples(self.opened)
            return self.items(_filter_by_name(refs, criteria, every))
        every = self._rejects.find()
        refs = _filter_by_name(every, criteria, every)
        if criteria.view is not None or criteria.find is not None:
            refs = [ref for ref in refs if _matches(self._rejects.read(ref), criteria)]
        return self.items(refs)

    def items(self, refs: Sequence[ItemRef]) -> Items:
        """Make a lazy sequence of these items."""
        return Items(self, refs)

    def read(self, refs: Sequence[ItemRef]) -> list[Item]:
        """Read items with their columns. Raises DatasetError."""
        examples_only = [ref for ref in refs if ref.kept]
        examples = iter(read_items(self.opened, examples_only) if examples_only else ())
        return [next(examples) if ref.kept else self._rejects.read(ref) for ref in refs]


class Items:
    """A lazy sequence of items: access reads the chunk of neighbours that the item is in."""

    def __init__(self, catalogue: Catalogue, refs: Sequence[ItemRef]) -> None:
        self.refs = refs
        self.catalogue = catalogue
        self._first = 0
        self._held: list[Item] = []

    def __len__(self) -> int:
        return len(self.refs)

    def __getitem__(self, number: int) -> Item:
        """Read the item. Raises DatasetError."""
        if not 0 <= number < len(self.refs):
            raise IndexError(number)
        if not self._first <= number < self._first + len(self._held):
            self._first = number - number % _CHUNK
            self._held = self.catalogue.read(self.refs[self._first : self._first + _CHUNK])
        return self._held[number - self._first]


def _filter_by_name(
    refs: Sequence[ItemRef], criteria: ItemFilter, every: Sequence[ItemRef]
) -> list[ItemRef]:
    """Filter by node and reason. Raises UserError where none of `every` has such a name."""
    noun = "reject" if criteria.rejected else "example"
    nodes = {ref.node for ref in every}
    reasons = {ref.reason for ref in every if ref.reason is not None}
    for option, name, names in (
        ("node", criteria.node, nodes),
        ("reason", criteria.reason, reasons),
    ):
        if name is not None and name not in names:
            raise UserError(f"--{option} {name}: no {noun} has it{did_you_mean(name, names)}")
    return [
        ref
        for ref in refs
        if criteria.node in (None, ref.node) and criteria.reason in (None, ref.reason)
    ]


def _matches(item: Item, criteria: ItemFilter) -> bool:
    in_view = criteria.view is None or item.data.get(VIEW) == criteria.view
    return in_view and (criteria.find is None or item.contains(criteria.find))


def find_examples(
    opened: OpenedDataset, view: str | None = None, text: str | None = None
) -> list[ItemRef]:
    """Find examples by view and by a text that they contain, in the order of the source.

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


def read_items(opened: OpenedDataset, refs: Sequence[ItemRef]) -> list[Item]:
    """Read examples with the plan's columns, JSON parsed. Raises DatasetError where one is gone."""
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
    """Make an expression for the text of each column that has text."""
    import polars as pl

    columns = opened.columns.items()
    texts = [pl.col(name) for name, kind in columns if kind in ("string", "json")]
    lists = [pl.col(name).list.join("\n") for name, kind in columns if kind == "strings"]
    return texts + lists
