"""Interrupts: Ctrl-C and SIGTERM while a run goes on.

Knows nothing of what is interrupted.
"""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Ctrl-C and SIGTERM: the first asks to finish what is in flight, the second ends now."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Take the signals, back from a library that took them for itself if need be."""
        for number in _SIGNALS:
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Catch the two signals while the context lasts."""
    handler = Interrupts()
    with signals_to(handler):
        yield handler


@contextmanager
def signals_to(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Send both signals to a handler while the context lasts."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)
