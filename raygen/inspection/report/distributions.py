"""Make the report's section on distributions: lengths of texts, diversity, scores, shares.

They are computed over at most ROWS examples. Knows nothing of pages.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from statistics import mean, median
from typing import TYPE_CHECKING, Any

from raygen.core import count, percent, visible
from raygen.inspection.opened import OpenedDataset
from raygen.inspection.report.figure import Figure, FigureTable, ReportSection, chart

if TYPE_CHECKING:
    import polars as pl

ROWS = 20_000
"""The most examples that are read: those with the lowest ids, which are hashes."""

_TEXTS = 3
_NAMES = 2
"""The most words of a value that counts as a name rather than a text."""
_NUMBERS = 4
_SHARES = 4
_VALUES = 12
_BINS = 20
_GROUPS = 5
_OTHERS = "others"
_HEAD = ("n", "least", "median", "mean", "most")

Numbers = Mapping[str, Sequence[float]]
"""Numbers by group."""


def spread_section(dataset: OpenedDataset) -> ReportSection | None:
    """Make the section on distributions; None where there are no examples."""
    import polars as pl

    if not dataset.status.examples:
        return None
    columns = [name for name in dataset.plan["columns"] if name not in ("choices",)]
    names = list(dict.fromkeys(["id", "key", "node", *columns]))
    frame = dataset.collect(dataset.examples().select(names).sort("id").head(ROWS))
    by = "view" if dataset.plan["columns"].get("view") == "string" else "node"
    if frame.is_empty():  # though the ledger counts some
        return None
    frame = frame.with_columns(pl.col(by).fill_null("(none)").alias("_group"))
    texts = _texts(dataset)
    figures = [figure for name in texts for figure in _lengths(frame, name, by)]
    figures += _difference(frame, texts) if texts else ()
    for name in _numbers(dataset):
        figures += _number(frame, name)
    reports = list(dataset.status.reports.items())[:_SHARES]
    figures += [_shares(name, values) for name, values in reports]
    total = dataset.status.examples
    note = f"Over {count(len(frame))} of {count(total)} examples, taken at random."
    return ReportSection("spread", "Distributions", figures, note if len(frame) < total else "")


def _texts(dataset: OpenedDataset) -> list[str]:
    """Choose the text columns to draw: the rationale, others of the graph, the task's text."""
    added = [name for node in dataset.plan["nodes"] for name in node["adds"]]
    columns: Mapping[str, str] = dataset.plan["columns"]
    stem = dataset.task.stem
    others = {"view", "variant", "original", stem}
    texts = [n for n in dict.fromkeys(["rationale", *added]) if columns.get(n) == "string"]
    stems = [stem] if stem in columns else []
    return [*(name for name in texts if name not in others), *stems][:_TEXTS]


def _numbers(dataset: OpenedDataset) -> list[str]:
    """Choose the number columns to draw, without log-probabilities, which follow text length."""
    kinds: Mapping[str, str] = dataset.plan["columns"]
    columns = [n for n, kind in kinds.items() if kind == "number" and "logprob" not in n]
    columns.sort(key=lambda name: name != "agreement")
    return columns[:_NUMBERS]


def _lengths(frame: pl.DataFrame, name: str, by: str) -> Iterator[Figure]:
    groups: dict[str, list[float]] = defaultdict(list)
    for text, group in frame.select(name, "_group").iter_rows():
        if text:
            groups[visible(group)].append(len(text.split()))
    if max((max(numbers) for numbers in groups.values()), default=0) > _NAMES:
        description = f"Examples by the number of words of their {name}"
        picture = histogram(groups, description, {"x": "words", "y": "examples"}, integers=True)
        yield Figure(f"Length of {name}", (picture,), _table(groups, by))


def _difference(frame: pl.DataFrame, texts: Sequence[str]) -> Iterator[Figure]:
    """Draw how many examples come from a source row, and how diverse their texts are."""
    of_row: dict[str, list[str]] = defaultdict(list)
    for key, text in frame.select("key", texts[0]).iter_rows():
        of_row[key].append(text or "")
    numbers = {"source rows": [float(len(rows)) for rows in of_row.values()]}
    description = "Kept source rows by how many examples they gave"
    axes = {"x": "examples", "y": "source rows"}
    picture = histogram(numbers, description, axes, integers=True)
    yield Figure("Examples of one source row", (picture,), _table(numbers))
    shares = {"source rows": [s for rows in of_row.values() if (s := distinct(rows)) is not None]}
    if not shares["source rows"]:
        return
    description = f"Source rows by how many word pairs of their {texts[0]} texts differ"
    axes = {"x": "share of word pairs that differ", "y": "source rows"}
    picture = histogram(shares, description, axes)
    note = (
        f"Of all pairs of neighbouring words in the {texts[0]} texts of one source row, the share "
        "that is not a repeat: 1 where no two texts say anything alike."
    )
    yield Figure("Diversity within a source row", (picture,), _table(shares, digits=2), note)


def distinct(texts: Sequence[str]) -> float | None:
    """Compute distinct-2 over texts: the share of word bigrams that aren't repeats.

    None where fewer than two texts have a bigram.
    """
    by_text = [list(pairwise(text.casefold().split())) for text in texts]
    if sum(map(bool, by_text)) < 2:
        return None
    every = [pair for pairs in by_text for pair in pairs]
    return len(set(every)) / len(every)


def _number(frame: pl.DataFrame, name: str) -> Iterator[Figure]:
    groups: dict[str, list[float]] = defaultdict(list)
    for number, group in frame.select(name, "_group").drop_nulls().iter_rows():
        if number >= 0:
            groups[visible(group)].append(number)
    if not groups:
        return
    picture = histogram(groups, f"Examples by {name}", {"x": name, "y": "examples"})
    yield Figure(name.capitalize(), (picture,), _table(groups, digits=2))


def _shares(name: str, counts: Mapping[str, int]) -> Figure:
    """Draw the counts of examples by the values of a column that an op reports."""
    total = sum(counts.values())
    values = [
        {"name": visible(value), "amount": n, "group": "examples", "order": 0}
        for value, n in list(counts.items())[:_VALUES]
    ]
    rows = tuple((visible(value), count(n), percent(n / total)) for value, n in counts.items())
    picture = chart("bars", values, f"Examples by {name}", {"x": "examples"})
    return Figure(f"Examples by {name}", (picture,), FigureTable((name, "examples", "share"), rows))


def histogram(
    groups: Numbers, description: str, titles: Mapping[str, str], *, integers: bool = False
) -> str:
    """Draw a histogram of non-negative numbers by group, as SVG; small groups are merged.

    Args:
        groups: Numbers by group; the smallest of many groups become one, "others".
        description: What the chart shows, for readers who can't see it.
        titles: Titles of the axes, by channel (`x`, `y`).
        integers: Centre bins on whole numbers where all numbers are small integers.
    """
    largest = max(max(numbers) for numbers in groups.values())
    x: dict[str, Any] = {"bin": {"maxbins": _BINS, "extent": [0, max(largest, 1)]}}
    if integers and largest < _BINS:
        x["bin"] = {"step": 1, "extent": [-0.5, max(largest, 1) + 0.5], "nice": False}
        x["axis"] = {"grid": False, "values": list(range(int(largest) + 1))}
    elif largest <= 1:
        x["axis"] = {"grid": False, "values": [0, 0.2, 0.4, 0.6, 0.8, 1]}
    values = [
        {"number": number, "count": n, "group": group, "order": order}
        for order, (group, numbers) in enumerate(_largest_groups(groups).items())
        for number, n in Counter(numbers).items()
    ]
    return chart("histogram", values, description, titles, x=x)


def _largest_groups(groups: Numbers) -> Numbers:
    ordered = sorted(groups.items(), key=lambda item: -len(item[1]))
    if len(ordered) <= _GROUPS:
        return dict(ordered)
    rest = [number for _, numbers in ordered[_GROUPS - 1 :] for number in numbers]
    return {**dict(ordered[: _GROUPS - 1]), _OTHERS: rest}


def _table(groups: Numbers, by: str = "", digits: int = 1) -> FigureTable:
    """Summarise each group's numbers."""
    rows = tuple(
        (name, count(len(numbers)), *(f"{f(numbers):.{digits}f}" for f in (min, median, mean, max)))
        for name, numbers in groups.items()
        if numbers
    )
    return FigureTable((by, *_HEAD), rows)
