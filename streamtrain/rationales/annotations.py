"""A rater's verdicts on the items of a blind sheet, read from a filled-in file.

Knows nothing of which side is whose.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, cast, get_args

from streamtrain.errors import InputError

_SHOWN = 5

Verdict = Literal["left", "right", "tie"]


@dataclass(frozen=True, slots=True)
class Annotations:
    """A rater's verdicts and comments by item; `missing` describes the items without a verdict.

    `first` and `second` count how often position alone may have decided, so that a bias shows: for
    people the left and right verdicts, for a judge the positions that it chose in both orders.
    `swayed` counts a judge's ties that come of a verdict which changed with the order; None if only
    one order was shown. `answers` are a judge's texts.
    """

    rater: str
    verdicts: Mapping[str, Verdict]
    comments: Mapping[str, str] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    first: int = 0
    second: int = 0
    swayed: int | None = None
    answers: Mapping[str, Sequence[str]] = field(default_factory=dict)


def read_all_annotations(paths: Sequence[Path], items: Collection[str]) -> list[Annotations]:
    """Read the filled-in sheets of several raters, each named by its file.

    `items` are the items of the key. Raises InputError that names bad rows by file and number.
    """
    names = [path.stem for path in paths]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError(
            f"several sheets are named {', '.join(twice)}; raters are told by the file's name "
            "without suffix, so rename one"
        )
    return [read_annotations(path, items) for path in paths]


def read_annotations(path: Path, items: Collection[str]) -> Annotations:
    """Read the filled-in sheet of one rater; rows without a verdict go to `missing`.

    Raises InputError for an unknown verdict, an item that isn't the key's, or a sheet without a
    verdict.
    """
    verdicts: dict[str, Verdict] = {}
    comments: dict[str, str] = {}
    missing, bad, seen_items = [], [], set()
    for number, row in _rows(path):
        item = (row.get("item") or "").strip()
        verdict = (row.get("verdict") or "").strip().casefold()
        if item not in items:
            bad.append(f"row {number}: the key has no item {item!r}")
        elif item in seen_items:
            bad.append(f"row {number}: item {item} a second time")
        elif verdict and verdict not in get_args(Verdict):
            bad.append(f"row {number}: verdict is {row['verdict']!r}")
        elif verdict:
            verdicts[item] = cast("Verdict", verdict)
        else:
            missing.append(f"row {number}")
        seen_items.add(item)
        if comment := (row.get("comment") or "").strip():
            comments[item] = comment
    if bad:
        raise InputError(
            f"{path}: {len(bad)} rows are bad: {'; '.join(bad[:_SHOWN])}; expected items of this "
            "key with the verdict left, right or tie"
        )
    if not verdicts:
        raise InputError(f"{path} has no verdict; fill in left, right or tie")
    missing += [f"item {item} (not on the sheet)" for item in items if item not in seen_items]
    in_order = list(verdicts.values())
    return Annotations(
        path.stem,
        verdicts,
        comments,
        tuple(missing),
        in_order.count("left"),
        in_order.count("right"),
    )


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield rows with their numbers as in a spreadsheet, whatever the delimiter."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(
            f"{path} can't be read: {error}; expected a filled-in sheet, saved as CSV in UTF-8"
        ) from error
    head = text.partition("\n")[0]
    mark = next((mark for mark in ",;\t" if mark in head), ",")
    table = csv.DictReader(io.StringIO(text, newline=""), delimiter=mark, strict=True)
    absent = {"item", "verdict"} - set(table.fieldnames or ())
    if absent:
        raise InputError(
            f"{path} has no column {' and none '.join(sorted(absent))}; expected the columns item "
            "and verdict, as the sheet has them"
        )
    try:
        for number, row in enumerate(table, 2):
            if any(isinstance(cell, str) and cell.strip() for cell in row.values()):
                yield number, row
    except csv.Error as error:
        raise InputError(f"{path} is no CSV: {error} in line {table.line_num}") from error
