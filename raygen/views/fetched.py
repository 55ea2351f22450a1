"""Render a fetched recipe before its first run: its text, and what it will do.

All of it is a stranger's text, so each line is cut and made harmless. Knows nothing of how it was
fetched or of who confirms it.
"""

from __future__ import annotations

import unicodedata
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.rule import Rule
from rich.syntax import Syntax
from rich.text import Text

from raygen.core import count, visible_line
from raygen.planning import Disclosure
from raygen.recipe.remote import Fetched
from raygen.views.tables import facts_table

_MOST_LINES, _LONGEST_LINE, _MOST_CHARACTERS = 60, 240, 2**20
"""Of a recipe's text; what follows so many characters isn't read."""
_MOST_FACTS, _LONGEST_FACT = 6, 240
"""Of one kind; a page holds all kinds."""


def fetched_view(
    disclosed: Sequence[Disclosure], strangers: Collection[Fetched], cost: str
) -> RenderableType:
    """Render the fetched files that are new here, and what a recipe reads, sends, runs and writes.

    `disclosed` has what each variant does, `strangers` what was fetched and no run here has
    confirmed; `cost` says what stops a run.
    """
    return Group(*_texts(disclosed, strangers), *_summary(disclosed, cost))


def _texts(
    disclosed: Sequence[Disclosure], strangers: Collection[Fetched]
) -> Iterator[RenderableType]:
    files = dict.fromkeys(file.resolve() for each in disclosed for file in each.files)
    for file in files:
        fetched = next((one for one in strangers if file.is_relative_to(one.root)), None)
        if fetched is None:
            continue
        facts = facts_table()
        for name, value in (("from", fetched.reference), ("pin", fetched.pin), ("file", str(file))):
            facts.add_row(name, _fact(value))
        yield facts
        text = _shown_text(file)
        yield Syntax(text, "yaml", background_color="default", word_wrap=True)
        yield Text()


def _summary(disclosed: Sequence[Disclosure], cost: str) -> Iterator[RenderableType]:
    for each in disclosed:
        name = _cut(each.recipe, 80) + (f" ({each.variant})" if each.variant else "")
        yield Rule(Text(visible_line(f"What {name} would do")), style="dim")
        by_kind: dict[str, list[str]] = defaultdict(list)
        for kind, text in each.facts:
            by_kind[kind].append(text)
        facts = facts_table()
        for kind, texts in by_kind.items():
            for text in texts[:_MOST_FACTS]:
                facts.add_row(visible_line(kind), _fact(text))
            if len(texts) > _MOST_FACTS:
                more = f"and {count(len(texts) - _MOST_FACTS)} more, which the recipe names"
                facts.add_row(visible_line(kind), Text(more, style="bold"))
        if each.expected:
            facts.add_row("expected", _fact(each.expected))
        facts.add_row("at most", _fact(cost))
        yield facts
        yield Text()


def _fact(text: str) -> Text:
    return Text(visible_line(_cut(text, _LONGEST_FACT)))


def _cut(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    return f"{text[:longest]}... ({count(len(text))} characters)"


def _shown_text(file: Path) -> str:
    """Read the first lines of a file, each cut, with its invisible characters escaped.

    Blank lines are left out, since they can push everything else out of sight.
    """
    with file.open(encoding="utf-8-sig", errors="replace") as opened:
        text = opened.read(_MOST_CHARACTERS)
    lines = [line.rstrip() for line in text.split("\n") if line.strip()]
    shown = [_escaped(_cut(line, _LONGEST_LINE)) for line in lines[:_MOST_LINES]]
    if len(lines) > _MOST_LINES:
        more = ", or more," if len(text) == _MOST_CHARACTERS else ""
        shown.append(f"# ... {count(len(lines) - _MOST_LINES)} more lines{more} in the file")
    return "\n".join(shown)


def _escaped(text: str) -> str:
    """Escape format characters, which could reorder or hide text."""
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) == "Cf" else sign for sign in text
    )
