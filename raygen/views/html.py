"""Convert views to text and HTML for notebooks: escaped, with inline styles, self-contained.

Rich lays them out as for a terminal of WIDTH columns. Knows nothing of the views' content.
"""

from __future__ import annotations

import io

from rich.console import Console, RenderableType
from rich.terminal_theme import TerminalTheme

from raygen.views.console import TerminalConsole

WIDTH = 100
_FORMAT = (
    '<pre style="white-space:pre;overflow-x:auto;line-height:1.4;background:none;'
    "font-family:Menlo,'DejaVu Sans Mono',Consolas,monospace\">{code}</pre>"
)
_BLACK, _RED, _GREEN, _YELLOW = (34, 34, 34), (201, 55, 44), (34, 134, 58), (176, 136, 0)
_BLUE, _MAGENTA, _CYAN, _WHITE = (11, 94, 215), (155, 60, 160), (11, 114, 133), (127, 127, 127)
_THEME = TerminalTheme(
    (255, 255, 255),
    (0, 0, 0),
    [_BLACK, _RED, _GREEN, _YELLOW, _BLUE, _MAGENTA, _CYAN, _WHITE],
)
"""Colours that are legible on light and on dark pages."""


def to_text(view: RenderableType) -> str:
    """Render a view as plain text."""
    lines = _record(view).export_text().splitlines()
    return "\n".join(line.rstrip() for line in lines)


def to_html(view: RenderableType) -> str:
    """Render a view as an HTML fragment."""
    return _record(view).export_html(theme=_THEME, inline_styles=True, code_format=_FORMAT)


def _record(view: RenderableType) -> Console:
    console = TerminalConsole(file=io.StringIO(), record=True, width=WIDTH)
    console.print(view)
    return console
