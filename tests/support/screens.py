"""A fake screen: keys come from a list, and what is shown is kept. Nobody sits there."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rich.console import Console, RenderableType


class FakeScreen:
    """When its keys are used up, `q` is pressed. `notes` are what is typed."""

    def __init__(self, keys: Iterable[str], notes: Sequence[str] = ()) -> None:
        self._keys = iter(keys)
        self._notes = iter(notes)
        self.shown: list[str] = []

    def show(self, view: RenderableType) -> None:
        self.shown.append(printed(view).removesuffix("\n"))

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
