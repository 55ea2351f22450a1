"""Render the differences between two recipes, and changes of single values.

A change is shown on one line, as a word diff or as a line diff. Pure functions to Rich renderables.
Knows nothing of how differences are computed.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from raygen.core import Change, plural
from raygen.inspection import changed_words
from raygen.inspection.diff import NodeDiff, RecipeDiff
from raygen.views.tables import facts_table, one_line

_MARKS = {
    "added": ("+", "green"),
    "removed": ("-", "red"),
    "changed": ("~", "yellow"),
    "after a change": ("·", "dim"),
}
_OF_NEW = ("op", "from", "engine", "model")
"""Facts that are shown of an added or removed node."""
_SHORT = 60
_LONG = 700
_LINES = 30
_STYLES = {"+": "green", "-": "red", "@": "cyan"}


def recipe_diff_view(diff: RecipeDiff, full: bool = False) -> RenderableType:
    """Render two recipes and their differences; long texts are cut unless `full`."""
    return Group(sides_table(diff), Text(), *recipe_changes(diff, full))


def sides_table(diff: RecipeDiff) -> Table:
    """Render the names and plans of the two sides."""
    table = facts_table()
    for side, reference, plan in zip("AB", diff.references, diff.plans, strict=True):
        table.add_row(side, Text(reference, style="bold", overflow="fold"))
        table.add_row("", Text(f"plan {plan}" if plan else "plan not known", style="dim"))
    return table


def recipe_changes(diff: RecipeDiff, full: bool) -> list[RenderableType]:
    """Render the differences by section, then by node."""
    parts: list[RenderableType] = [one_line(Text(note, style="yellow")) for note in diff.notes]
    if diff.same:
        return [*parts, Text("the recipes are the same", style="green")]
    for name, changes in diff.sections.items():
        parts += [Text(name, style="bold"), *_changes(changes, full), Text()]
    if diff.nodes:
        parts.append(Text("graph", style="bold"))
        parts += [part for node in diff.nodes for part in _node(node, full)]
    else:
        parts.append(Text("the graphs are the same", style="dim"))
    if not diff.nodes and diff.plans[0] == diff.plans[1] and diff.plans[0]:
        parts.append(Text("the plans are the same: one dataset goes on as the other", style="dim"))
    return parts


def _node(node: NodeDiff, full: bool) -> list[RenderableType]:
    mark, style = _MARKS[node.fate]
    title = one_line(Text.assemble("  ", (f"{mark} {node.name}", style), (f"  {node.fate}", "dim")))
    if node.fate == "after a change":
        return [title]
    if node.fate == "changed":
        return [title, *_changes(node.facts, full, 4), *_changes(node.prompts, full, 4)]
    values = {change.key: change.before or change.after for change in node.facts}
    facts = facts_table()
    for name in _OF_NEW:
        if value := values.get(name):
            facts.add_row(name, Text(", ".join(value) if isinstance(value, list) else str(value)))
    return [title, Padding(facts, (0, 0, 0, 4)), *_changes(node.prompts, full, 4)]


def _changes(changes: Sequence[Change], full: bool, indent: int = 2) -> list[RenderableType]:
    """Render short changes in a table, and line diffs of long texts below it."""
    table = facts_table(texts=True)
    parts: list[RenderableType] = [Padding(table, (0, 0, 0, indent))]
    for change in changes:
        if change.is_text:
            key = one_line(Text(change.key, style="dim"))
            parts.append(Padding(key, (0, 0, 0, indent)))
            parts.append(Padding(diff_text(change.lines(), full), (0, 0, 0, indent + 2)))
        else:
            table.add_row(Text(change.key), change_text(change, full))
    return parts if table.row_count else parts[1:]


def change_text(change: Change, full: bool = False) -> Text:
    """Render the change of a value; a long text is cut unless `full`."""
    if change.is_text:
        return diff_text(change.lines(), full)
    old, new = change.before, change.after
    if isinstance(old, str) and isinstance(new, str) and max(len(old), len(new)) > _SHORT:
        return truncate(changed_words(old, new), full)
    return Text.assemble(_value(old, "red", full), " → ", _value(new, "green", full))


def diff_text(lines: list[str], full: bool = False) -> Text:
    """Colour the lines of a unified diff; the end of a long one is cut unless `full`."""
    shown = lines if full else lines[:_LINES]
    text = Text("\n").join(Text(line, style=_STYLES.get(line[:1], "")) for line in shown)
    if len(lines) > len(shown):
        left = plural(len(lines) - len(shown), "line")
        text.append(f"\n[... {left} more; --full shows them ...]", "dim")
    return text


def truncate(text: Text, full: bool) -> Text:
    """Cut the end of a long text unless `full`."""
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
