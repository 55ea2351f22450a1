"""This process: where its output goes, its interrupts, and coroutines run from plain code.

Output is redirected by file descriptor, so that C++ code and child processes are caught too. Knows
nothing of what is run or interrupted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, TypeVar

from raygen.core.writable_folders import open_private


def redirect_output(log: Path) -> None:
    """Send what this process and its later children write to a file, for good."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with open(log, "ab", opener=open_private) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def redirected_output(log: Path) -> Iterator[None]:
    """Send what this process and its children write to a file, while the context lasts."""
    saved = os.dup(1), os.dup(2)
    try:
        redirect_output(log)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, old in zip((1, 2), saved, strict=True):
            os.dup2(old, target)
            os.close(old)


def redirect_logs(log: Path, libraries: Sequence[str]) -> None:
    """Send what these libraries log to a file, for good."""
    os.close(open_private(str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND))
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    for name in libraries:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False


_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Handles Ctrl-C and SIGTERM: the first asks to finish what is in flight, the second raises."""

    def __init__(self) -> None:
        self.requested = False

    def listen(self) -> None:
        """Install the handlers, again if a library has replaced them."""
        for number in _SIGNALS:
            signal.signal(number, self)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        if self.requested:
            raise KeyboardInterrupt
        self.requested = True


@contextmanager
def interrupts() -> Iterator[Interrupts]:
    """Handle Ctrl-C and SIGTERM while the context lasts."""
    handler = Interrupts()
    with signals_to(handler):
        yield handler


@contextmanager
def signals_to(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Send Ctrl-C and SIGTERM to a handler while the context lasts."""
    before = {number: signal.signal(number, handler) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, old in before.items():
            signal.signal(number, old)


_Value = TypeVar("_Value")


def run_coroutine(work: Coroutine[Any, Any, _Value]) -> _Value:
    """Run a coroutine to its end; on a thread of its own if this thread's event loop runs."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def cancelled_by_library() -> bool:
    """Tell whether the CancelledError at hand comes from a library: nobody cancelled this task.

    Such an error must not go on as a cancellation: a TaskGroup takes no notice of it, and the work
    is lost without a word.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0
