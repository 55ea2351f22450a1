"""Chatter: what libraries and their processes print, sent to a log file in place of the terminal.

Works on file descriptors, so that C++ code and child processes are caught too.
"""

from __future__ import annotations

import contextlib
import logging
import os
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path


def redirect_output(log: Path) -> None:
    """Send what this process and its later children write to a file, for good."""
    log.parent.mkdir(parents=True, exist_ok=True)
    sys.stdout.flush()
    sys.stderr.flush()
    with log.open("ab") as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)


@contextlib.contextmanager
def redirected_output(log: Path) -> Iterator[None]:
    """Sends what this process and its children write to a file, while the context lasts."""
    kept = os.dup(1), os.dup(2)
    try:
        redirect_output(log)
        yield
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        for target, old in zip((1, 2), kept, strict=True):
            os.dup2(old, target)
            os.close(old)


def redirect_logs(log: Path, libraries: Sequence[str]) -> None:
    """Send what these libraries log to a file, for good."""
    handler = logging.FileHandler(log)
    handler.setFormatter(logging.Formatter("%(asctime)s %(name)s %(levelname)s %(message)s"))
    for name in libraries:
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.setLevel(logging.INFO)
        logger.propagate = False
