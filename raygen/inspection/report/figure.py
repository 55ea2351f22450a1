"""What the page is made of: sections of figures, each drawn and as a table.

Knows nothing of where the values come from.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_UNSEEN = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2066-\u2069\ufeff\ufffe\uffff]")


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Rows under a head; the first `words` columns are words, the others figures."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: int = 1


@dataclass(frozen=True, slots=True)
class Figure:
    """A title, pictures as SVG text (of two the page shows the one that fits), a table, or an
    image as a data URL."""

    title: str
    pictures: tuple[str, ...]
    table: FigureTable | None = None
    note: str = ""
    wide: bool = False
    image: str = ""


@dataclass(frozen=True, slots=True)
class ReportSection:
    """One part of the page; `id` is its anchor."""

    id: str
    title: str
    figures: Sequence[Figure]
    note: str = ""


def visible(text: str) -> str:
    """Replace what can't be seen: control characters, marks that turn the direction of text."""
    return _UNSEEN.sub("\ufffd", text.replace("\r\n", "\n").replace("\r", "\n"))
