"""A fake screen: keys come from a list, and what is shown is kept. Nobody sits there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType
from rich.text import Text


class FakeScreen:
    """A screen of a size; when its keys are used up, `q` is pressed. `notes` are what is typed."""

    def __init__(
        self, keys: Iterable[str], size: tuple[int, int] = (80, 24), notes: Sequence[str] = ()
    ) -> None:
        self._keys = iter(keys)
        self._notes = iter(notes)
        self._size = size
        self.shown: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def show(self, lines: str) -> None:
        self.shown.append(Text.from_ansi(lines).plain)

    def key(self) -> str:
        return next(self._keys, "q")

    def ask(self, question: str) -> str:
        return next(self._notes)


def printed(thing: RenderableType) -> str:
    """A renderable as a colourless terminal of 80 columns shows it."""
    console = Console(width=80, color_system=None)
    with console.capture() as captured:
        console.print(thing)
    return captured.get()
