"""Views as HTML: escaped, closed, marked, and asking nothing of the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

import pytest
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from raygen.views.html import html_of

EVIL = "<script>alert('x')</script> & \"quotes\""


class _Checker(HTMLParser):
    """Fails where a tag isn't closed, or one comes that was not meant."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"div", "table", "tr", "td", "th", "span", "ul", "li"}
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(renderable: RenderableType) -> str:
    checker = _Checker()
    checker.feed(html_of(renderable))
    assert checker.open == []
    return checker.text


def everything() -> Group:
    table = Table("name", EVIL)
    table.add_row("a", Text(EVIL, style="red"))
    table.add_row(Group(Text("b"), EVIL), "c")
    tree = Tree(EVIL)
    tree.add(Text("leaf")).add("twig")
    return Group(EVIL, Rule(Text(EVIL)), Padding(Text("in"), (0, 0, 0, 2)), table, tree)


def test_every_shape_is_escaped_and_closed() -> None:
    text = text_of(everything())
    assert text.count("<script>") == 6
    assert "leaf" in text
    assert "twig" in text


def test_nothing_comes_from_elsewhere() -> None:
    html = html_of(everything())
    assert not re.search(r"<(script|link|img|iframe)|url\(|https?:", html)


def test_marks_are_styles_in_place() -> None:
    text = Text.assemble(("gone", "red"), " and ", ("[MASK]", "black on yellow"), ("x", "bold dim"))
    html = html_of(text)
    assert '<span style="color:#c9372c">gone</span> and ' in html
    assert "background:#ffe58f" in html
    assert "font-weight:600;opacity:.65" in html


def test_marks_that_overlap_keep_the_text() -> None:
    text = Text("one two three")
    text.stylize("bold", 0, 7)
    text.stylize("red", 4, 99)
    assert text_of(text) == "one two three"


@pytest.mark.parametrize("boxed", [True, False])
def test_a_table_without_rows(boxed: bool) -> None:
    table = Table("a", "b", box=Table().box if boxed else None)
    assert text_of(table) == "ab"
