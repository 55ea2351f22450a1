"""Render changed values: short ones in a line, texts by words or by lines.

Knows nothing of recipes or rows.
"""

from __future__ import annotations

import json
from typing import Any

from rich.text import Text

from raygen.core import Change, plural
from raygen.inspection import changed_words

_SHORT = 60
_LONG = 700
_LINES = 30
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def change_text(change: Change, full: bool = False) -> Text:
    """Render the change of a value; a long text is cut unless `full`."""
    if change.is_text:
        return diff_text(change.lines(), full)
    old, new = change.before, change.after
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHORT:
        return truncate(changed_words(old, new), full)
    return Text.assemble(_value(old, "red", full), " → ", _value(new, "green", full))


def diff_text(lines: list[str], full: bool = False) -> Text:
    """Colour the lines of a unified diff; cut unless `full`."""
    shown = lines if full else lines[:_LINES]
    text = Text("\n").join(Text(line, style=_STYLES.get(line[:1], "")) for line in shown)
    if len(lines) > len(shown):
        left = plural(len(lines) - len(shown), "line")
        text.append(f"\n[... {left} more; --full shows them ...]", "dim")
    return text


def truncate(text: Text, full: bool) -> Text:
    """Cut the end of a long text."""
    if full or len(text) <= _LONG:
        return text
    return text[:_LONG].append(" [... --full shows all ...]", "dim")


def _value(value: Any, style: str, full: bool) -> Text:
    if value is None:
        return Text("nothing", style="dim")
    if isinstance(value, float):
        return Text(f"{value:.4g}", style=style)
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
    return truncate(Text(text, style=style), full)
