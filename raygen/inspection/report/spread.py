"""How a dataset's examples are spread: lengths, how much they differ, agreement, shares.

Over at most ROWS examples. Knows nothing of pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise
from typing import TYPE_CHECKING

from raygen.core import count, percent
from raygen.inspection.report.bins import HEAD, histogram, told
from raygen.inspection.report.charts import chart
from raygen.inspection.report.facts import Facts
from raygen.inspection.report.figure import Figure, Section, Table, seen

if TYPE_CHECKING:
    import polars as pl

ROWS = 20_000
"""Examples that are looked at; of more, those with the lowest ids, which are hashes."""

_TEXTS = 3
_NAMES = 2
"""Words of what is a name rather than a text."""
_NUMBERS = 4
_SHARES = 4


def spread(facts: Facts) -> Section | None:
    """The distributions, None where there is no example."""
    import polars as pl

    if not facts.status.examples:
        return None
    columns = [name for name in facts.plan["columns"] if name not in ("choices",)]
    names = list(dict.fromkeys(["id", "key", "node", *columns]))
    frame = facts.collect(facts.examples().select(names).sort("id").head(ROWS))
    by = "view" if facts.plan["columns"].get("view") == "string" else "node"
    frame = frame.with_columns(pl.col(by).fill_null("(none)").alias("_group"))
    texts = _texts(facts)
    figures = [figure for name in texts for figure in _lengths(frame, name, by)]
    figures += _difference(frame, texts)
    for name in _numbers(facts):
        figures += _number(frame, name)
    figures += [_share(name, dict(found)) for name, found in facts.status.reports.items()][:_SHARES]
    whole = facts.status.examples
    part = f"Over {count(len(frame))} of {count(whole)} examples, taken at random."
    return Section("spread", "Distributions", figures, part if len(frame) < whole else "")


def _texts(facts: Facts) -> list[str]:
    """The columns with texts that were written for the dataset, the rationale first."""
    made = [name for node in facts.plan["nodes"] for name in node["adds"]]
    columns: Mapping[str, str] = facts.plan["columns"]
    dull = {"view", "variant", "original", facts.task.stem}
    found = [n for n in dict.fromkeys(["rationale", *made]) if columns.get(n) == "string"]
    return [*(n for n in found if n not in dull), facts.task.stem][:_TEXTS]


def _numbers(facts: Facts) -> list[str]:
    """Shares and scores; the log-probabilities of texts tell their lengths once more."""
    kinds: Mapping[str, str] = facts.plan["columns"]
    columns = [n for n, kind in kinds.items() if kind == "number" and "logprob" not in n]
    columns.sort(key=lambda name: name != "agreement")
    return columns[:_NUMBERS]


def _lengths(frame: pl.DataFrame, name: str, by: str) -> Iterator[Figure]:
    groups: dict[str, list[float]] = defaultdict(list)
    for text, group in frame.select(name, "_group").iter_rows():
        if text:
            groups[seen(group)].append(len(text.split()))
    if max((max(numbers) for numbers in groups.values()), default=0) > _NAMES:
        words = f"Examples by the number of words of their {name}"
        picture = chart(
            "histogram", histogram(groups, whole=True).values(), words,
            {"x": "words", "y": "examples"},
        )  # fmt: skip
        yield Figure(f"Length of {name}", (picture,), Table((by, *HEAD), told(groups)))


def _difference(frame: pl.DataFrame, texts: Sequence[str]) -> Iterator[Figure]:
    """How many examples a source row gave, and how much their texts differ."""
    of_row: dict[str, list[str]] = defaultdict(list)
    for key, text in frame.select("key", texts[0]).iter_rows():
        of_row[key].append(text or "")
    numbers = {"source rows": [float(len(found)) for found in of_row.values()]}
    picture = chart(
        "histogram", histogram(numbers, whole=True).values(),
        "Kept source rows by how many examples they gave",
        {"x": "examples", "y": "source rows"},
    )  # fmt: skip
    yield Figure("Examples of one source row", (picture,), Table(("", *HEAD), told(numbers)))
    shares = {"source rows": [s for found in of_row.values() if (s := distinct(found)) is not None]}
    if not shares["source rows"]:
        return
    picture = chart(
        "histogram", histogram(shares, top=1.0).values(),
        f"Source rows by how many word pairs of their {texts[0]} texts differ",
        {"x": "share of word pairs that differ", "y": "source rows"},
    )  # fmt: skip
    note = (
        f"Of all pairs of neighbouring words in the {texts[0]} texts of one source row, the share "
        "that is not a repeat: 1 where no two texts say anything alike."
    )
    table = Table(("", *HEAD), told(shares, 2))
    yield Figure("Diversity within a source row", (picture,), table, note)


def distinct(texts: Sequence[str]) -> float | None:
    """The share of word pairs that are no repeat; None where fewer than two texts have some."""
    found = [list(pairwise(text.casefold().split())) for text in texts]
    if sum(map(bool, found)) < 2:
        return None
    every = [pair for pairs in found for pair in pairs]
    return len(set(every)) / len(every)


def _number(frame: pl.DataFrame, name: str) -> Iterator[Figure]:
    groups: dict[str, list[float]] = defaultdict(list)
    for number, group in frame.select(name, "_group").drop_nulls().iter_rows():
        if number >= 0:
            groups[seen(group)].append(number)
    if not groups:
        return
    top = 1.0 if max(max(numbers) for numbers in groups.values()) <= 1 else None
    picture = chart(
        "histogram", histogram(groups, top=top).values(), f"Examples by {name}",
        {"x": name, "y": "examples"},
    )  # fmt: skip
    yield Figure(name.capitalize(), (picture,), Table(("", *HEAD), told(groups, 2)))


def _share(name: str, found: Mapping[str, int]) -> Figure:
    """The examples by the values of a column that an op reports."""
    total = sum(found.values())
    values = [
        {"name": seen(value), "amount": n, "group": "examples", "place": 0}
        for value, n in list(found.items())[:12]
    ]
    rows = tuple((seen(value), count(n), percent(n / total)) for value, n in found.items())
    picture = chart("bars", values, f"Examples by {name}", {"x": "examples"})
    return Figure(f"Examples by {name}", (picture,), Table((name, "examples", "share"), rows))
