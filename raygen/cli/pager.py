"""A pager: one thing a screen, with keys. What is longer than the screen is scrolled.

Knows nothing of what it shows.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Protocol

import click
from rich.console import Console, Group, RenderableType
from rich.text import Text

_KEYS = "n next   p previous   g first   G last   q quit"
_SCROLL = "space/b scroll   "
_NAMES = {
    "\x1b[A": "up", "\x1b[B": "down", "\x1b[C": "right", "\x1b[D": "left",
    "\x1b[6~": " ", "\x1b[5~": "b",
    "\x03": "q", "\x04": "q", "\x1b": "q",
}  # fmt: skip
_NEXT = ("n", "right", "down", " ", "\r", "\n")
_PREVIOUS = ("p", "left", "up", "b", "\x7f")


class Screen(Protocol):
    """A terminal that somebody sits at."""

    @property
    def size(self) -> tuple[int, int]:
        """Its columns and lines."""
        ...

    def show(self, lines: str) -> None:
        """Show this and nothing else."""
        ...

    def key(self) -> str:
        """The next key that is pressed, as the terminal sends it."""
        ...


class Terminal:
    """The terminal that this process runs in."""

    def __init__(self) -> None:
        self._console = Console()

    @property
    def size(self) -> tuple[int, int]:
        return self._console.size

    def show(self, lines: str) -> None:
        click.clear()
        click.echo(lines, nl=False)

    def key(self) -> str:
        try:
            return click.getchar()
        except (KeyboardInterrupt, EOFError):
            return "q"

    def ask(self, question: str) -> str:
        """A line that is typed; empty where there is nothing to say."""
        try:
            return str(click.prompt(question, default="", show_default=False, prompt_suffix=""))
        except click.Abort:
            return ""


def at_terminal() -> bool:
    """Whether somebody can read and press keys."""
    return sys.stdin.isatty() and sys.stdout.isatty()


def page(number: int, show: Callable[[int], RenderableType], screen: Screen) -> None:
    """Show things 0, 1, ... `number` - 1, until the user quits."""
    at = 0
    while True:
        key = look(show(at), f"{at + 1} of {number}   {_KEYS}", screen)
        if key == "q":
            return
        if key in _NEXT:
            at = min(number - 1, at + 1)
        elif key in _PREVIOUS:
            at = max(0, at - 1)
        elif key in ("g", "G"):
            at = 0 if key == "g" else number - 1


def look(thing: RenderableType, foot: str, screen: Screen) -> str:
    """Show one thing over a line of what can be pressed; the first key that doesn't scroll it."""
    first = 0
    while True:
        columns, height = screen.size
        lines = rendered(thing, columns).splitlines()
        below = Group(Text(), Text(foot, style="reverse"))
        room = max(1, height - len(rendered(below, columns).splitlines()) - 1)
        last = max(0, len(lines) - room)
        first = min(first, last)
        if last:
            below = Group(Text(), Text(f"{_SCROLL}{foot}", style="reverse"))
        screen.show("\n".join([*lines[first : first + room], rendered(below, columns)]))
        key = screen.key()
        key = _NAMES.get(key, key)
        move = {"down": 1, "up": -1, " ": room - 1, "b": 1 - room}.get(key, 0)
        moved = max(0, min(last, first + move))
        if moved == first:
            return key
        first = moved


def rendered(thing: RenderableType, columns: int) -> str:
    """A thing as a terminal of so many columns shows it."""
    console = Console(width=columns, force_terminal=True)
    with console.capture() as captured:
        console.print(thing)
    return captured.get()
