"""A command at a pseudo-terminal."""

from __future__ import annotations

import os
import pty
import select
import subprocess
import sys
from contextlib import suppress

import click


def at_terminal(
    words: list[str], *turns: tuple[str, str], pager: str = "cat", exit_code: int = 0
) -> str:
    """Run a command in a pseudo-terminal; return what it shows, without its colours.

    Of each turn, the keys are pressed once the text is there.
    """
    return click.unstyle(sent_to_terminal(words, *turns, pager=pager, exit_code=exit_code))


def sent_to_terminal(
    words: list[str], *turns: tuple[str, str], pager: str = "cat", exit_code: int = 0
) -> str:
    """Return all that reaches the terminal, as it is."""
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "raygen.cli", *words]
    process = subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, env={**os.environ, "PAGER": pager}
    )
    os.close(inside)
    shown, keys = b"", ""
    for text, then in turns:
        begun = len(shown)
        while text not in shown[begun:].decode(errors="replace"):
            more = read(terminal, keys)
            assert more, f"ended without {text!r}: {shown!r}"
            shown += more
        keys = then
        os.write(terminal, keys.encode())
    while more := read(terminal, keys):
        shown += more
    os.close(terminal)
    assert process.wait() == exit_code, shown
    return shown.decode()


def read(terminal: int, keys: str) -> bytes:
    """Read what is shown next, empty at the end; keys pressed before the process listens are lost,
    and are pressed again."""
    with suppress(OSError):  # a terminal whose process has ended can't be read or written
        while keys and not select.select([terminal], [], [], 2.0)[0]:
            os.write(terminal, keys.encode())
        return os.read(terminal, 65536)
    return b""
