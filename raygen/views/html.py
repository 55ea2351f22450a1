"""What the views show, as HTML for notebooks: escaped, styled in place, nothing from elsewhere.

Turns the renderables that the views are made of into HTML. Knows nothing of what they say.
"""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.rule import Rule
from rich.style import Style
from rich.table import Table
from rich.text import Text
from rich.tree import Tree

_CELL = "text-align:{};vertical-align:top;padding:1px 14px 1px 0;white-space:pre-wrap"
_TABLE = "border-collapse:collapse;margin:4px 0;font-size:13px"
_LINES = ";border-top:1px solid rgba(128,128,128,.4);border-bottom:1px solid rgba(128,128,128,.4)"
_FAINT = "opacity:.65"
_COLOURS = {
    "red": "#c9372c",
    "green": "#22863a",
    "yellow": "#b08800",
    "cyan": "#0b7285",
}
"""Readable on light and on dark pages."""


def html_of(renderable: RenderableType) -> str:
    """A renderable as a piece of HTML."""
    return f'<div style="line-height:1.45;max-width:1100px">{_block(renderable)}</div>'


def _block(renderable: RenderableType) -> str:
    if isinstance(renderable, Group):
        return "".join(_block(part) for part in renderable.renderables)
    if isinstance(renderable, Table):
        return _table(renderable)
    if isinstance(renderable, Tree):
        return f'<ul style="margin:2px 0">{_branch(renderable)}</ul>'
    if isinstance(renderable, Padding):
        return f'<div style="padding-left:2ch">{_block(renderable.renderable)}</div>'
    if isinstance(renderable, Rule):
        line = "border-bottom:1px solid rgba(128,128,128,.5);margin:10px 0 4px"
        return f'<div style="{line}">{_inline(renderable.title)}</div>'
    inner = _inline(renderable) if isinstance(renderable, str | Text) else escape(str(renderable))
    return f'<div style="white-space:pre-wrap;min-height:.7em">{inner}</div>'


def _branch(tree: Tree) -> str:
    children = "".join(_branch(child) for child in tree.children)
    inner = f'<ul style="margin:0">{children}</ul>' if children else ""
    return f"<li>{_cell(tree.label)}{inner}</li>"


def _table(table: Table) -> str:
    columns = table.columns
    head = ""
    if table.show_header and any(str(column.header) for column in columns):
        cells = "".join(
            f'<th style="{_CELL.format(column.justify)};font-weight:600;{_FAINT}">'
            f"{_cell(column.header)}</th>"
            for column in columns
        )
        head = f"<tr>{cells}</tr>"
    boxed = table.box is not None
    rows = zip(*(column.cells for column in columns), strict=True)
    body = "".join(
        "<tr>"
        + "".join(
            f'<td style="{_CELL.format(column.justify)}'
            f"{';' + css if (css := _css(column.style)) else ''}"
            f"{';white-space:nowrap' if column.no_wrap else ''}"
            f'{_LINES if boxed else ""}">{_cell(cell)}</td>'
            for column, cell in zip(columns, row, strict=True)
        )
        + "</tr>"
        for row in rows
    )
    size = ";width:100%;table-layout:fixed" if boxed else ""
    return f'<table style="{_TABLE}{size}">{head}{body}</table>'


def _cell(value: RenderableType) -> str:
    return _inline(value) if isinstance(value, str | Text) else _block(value)


def _inline(value: str | Text) -> str:
    """A text with its marks as spans."""
    if isinstance(value, str):
        return escape(value)
    places = sorted({0, len(value), *_ends(value)})
    whole = _css(value.style)
    pieces = []
    for start, end in pairwise(places):
        styles = [_css(span.style) for span in value.spans if span.start <= start < span.end]
        css = ";".join(filter(None, styles))
        piece = escape(value.plain[start:end])
        pieces.append(f'<span style="{css}">{piece}</span>' if css else piece)
    inner = "".join(pieces)
    return f'<span style="{whole}">{inner}</span>' if whole else inner


def _ends(text: Text) -> Iterable[int]:
    for span in text.spans:
        yield from (min(span.start, len(text)), min(span.end, len(text)))


def _css(style: str | Style) -> str:
    parsed = Style.parse(style) if isinstance(style, str) else style
    rules = []
    if parsed.bold:
        rules.append("font-weight:600")
    if parsed.dim:
        rules.append(_FAINT)
    if parsed.bgcolor is not None:
        rules.append("background:#ffe58f;color:#222;border-radius:2px")
    elif parsed.color is not None and parsed.color.name in _COLOURS:
        rules.append(f"color:{_COLOURS[parsed.color.name]}")
    return ";".join(rules)
