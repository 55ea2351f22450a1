"""A fake screen: keys come from a list, and what is shown is kept. Nobody sits there."""

from __future__ import annotations

from collections.abc import Iterable

from rich.text import Text


class FakeScreen:
    """A screen of a size; when its keys are used up, `q` is pressed."""

    def __init__(self, keys: Iterable[str], size: tuple[int, int] = (80, 24)) -> None:
        self._keys = iter(keys)
        self._size = size
        self.shown: list[str] = []

    @property
    def size(self) -> tuple[int, int]:
        return self._size

    def show(self, lines: str) -> None:
        self.shown.append(Text.from_ansi(lines).plain)

    def key(self) -> str:
        return next(self._keys, "q")
