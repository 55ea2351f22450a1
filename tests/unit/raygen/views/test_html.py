"""Views as text and HTML: escaped, closed, marked, and asking nothing of the network."""

from __future__ import annotations

import re
from html.parser import HTMLParser

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

from raygen.views.html import WIDTH, to_html, to_text

EVIL = "<script>alert('x')</script> & \"quotes\" [link=javascript:alert(1)]x[/link] [red]r[/red]"


class _Checker(HTMLParser):
    """Fails where a tag isn't closed, or one comes that was not meant."""

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert tag in {"pre", "span"}
        assert {name for name, _ in attrs} <= {"style"}
        self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def text_of(renderable: RenderableType) -> str:
    checker = _Checker()
    checker.feed(to_html(renderable))
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
    assert text.count("[link=") == 6
    assert "leaf" in text
    assert "twig" in text


def test_nothing_comes_from_elsewhere() -> None:
    assert not re.search(r"<(script|link|img|iframe|a)\b|url\(|https?:", to_html(everything()))


def test_marks_are_inline_styles() -> None:
    text = Text.assemble(("gone", "red"), " and ", ("[MASK]", "black on yellow"), ("x", "bold dim"))
    html = to_html(text)
    assert re.search(r'<span style="color: #c9372c[^"]*">gone</span> and ', html)
    assert re.search(r'background-color: #[^"]*">\[MASK\]</span>', html)
    assert re.search(r'font-weight: bold">x</span>', html)


def test_html_and_text_say_the_same() -> None:
    text = to_text(everything())
    assert text == "\n".join(line.rstrip() for line in text_of(everything()).splitlines())
    assert max(map(len, text.splitlines())) <= WIDTH
