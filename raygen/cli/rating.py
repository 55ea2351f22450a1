"""Ask a person at a terminal for verdicts on items, one by one.

The rating is blind: the screen doesn't show an item's fate. Every verdict is saved at once.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import click
from rich.console import Group, RenderableType
from rich.text import Text

from raygen.core import Task, prompt
from raygen.inspection.browse import Items, Verdict, Word
from raygen.views import TerminalConsole, blind_view

_KEYS = "k keep   f fix   d drop   n note   u undo   q quit"
_WORDS: Mapping[str, Word] = {"k": "keep", "f": "fix", "d": "drop"}
_QUIT = ("q", "\x1b", "\x03", "\x04")


class Screen(Protocol):
    """A terminal with a person at it."""

    def show(self, view: RenderableType) -> None:
        """Replace the screen's content."""
        ...

    def key(self) -> str:
        """Wait for the next key."""
        ...

    def ask(self, question: str) -> str:
        """Read a line of text, which may be empty."""
        ...


class Terminal:
    """The terminal that this process runs in."""

    def show(self, view: RenderableType) -> None:
        """Clear the screen and print a view; a view longer than the screen scrolls."""
        click.clear()
        TerminalConsole().print(view, end="")

    def key(self) -> str:
        """Wait for a key; an interrupt counts as `q`."""
        try:
            return click.getchar()
        except (KeyboardInterrupt, EOFError):
            return "q"

    def ask(self, question: str) -> str:
        """Read a line of text; an interrupt counts as an empty line."""
        try:
            return prompt(question, "")
        except click.Abort:
            return ""


def rate(
    items: Items,
    plan: str,
    verdicts: Sequence[Verdict],
    save: Callable[[Mapping[str, Verdict]], None],
    screen: Screen,
    show: tuple[Task, bool],
) -> int:
    """Ask for a verdict on each item without one; return how many are left when the rater quits.

    Args:
        items: The sample.
        plan: The hash of the plan that made the items.
        verdicts: The rater's former verdicts.
        save: Called with all verdicts by item, former ones included, after each change.
        screen: The terminal of the rater.
        show: The task, and whether long texts are shown in full.
    """
    by_item = {verdict.item: verdict for verdict in verdicts}
    todo = [number for number, ref in enumerate(items.refs) if ref.id not in by_item]
    note, done = "", 0
    while done < len(todo):
        item = items[todo[done]]
        position = f"{len(items) - len(todo) + done + 1} of {len(items)}"
        screen.show(_page(blind_view(item, *show), note, f"{position}   {_KEYS}"))
        key = screen.key()
        if key in _QUIT:
            break
        if key == "n":
            note = screen.ask("note")
        elif key == "u" and done:
            done -= 1
            note = by_item.pop(items.refs[todo[done]].id).note
            save(by_item)
        elif word := _WORDS.get(key):
            by_item[item.ref.id] = Verdict.on(item.ref, plan, word, note)
            save(by_item)
            note, done = "", done + 1
    return len(todo) - done


def _page(view: RenderableType, note: str, foot: str) -> RenderableType:
    lines = [Text(), Text(f"note: {note}", style="cyan")] if note else []
    return Group(view, *lines, Text(), Text(foot, style="reverse"))
