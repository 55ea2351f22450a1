"""Work for a process under limits: what a stranger's recipe, archive or template might do."""

from __future__ import annotations

import asyncio
import ctypes
import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from raygen.core import Problem, ProblemsError, UserError


@dataclass(frozen=True, slots=True)
class Found:
    """A result of a class of its own."""

    path: Path
    names: tuple[str, ...]


class _Forged:
    """Comes back as a call of a function, which the parent must not make."""

    def __init__(self, function: Callable[..., Any], *args: Any) -> None:
        self._call = (function, args)

    def __reduce__(self) -> Any:
        return self._call


def add(a: int, b: int = 1) -> int:
    return a + b


def found(path: Path) -> Found:
    return Found(path, ("a", "b"))


def take_memory(mib: int) -> int:
    return len(bytearray(mib * 1024 * 1024))


def loop() -> None:
    while True:
        pass


def sleep() -> None:
    time.sleep(600)


def power() -> int:
    return len(str(7**80_000_000))


def die() -> None:
    os._exit(7)


def write(path: Path, size: int) -> int:
    return path.write_bytes(b"x" * size)


def write_in_c(path: Path) -> int:
    """Open a file where no hook of Python's looks."""
    return ctypes.CDLL(None).open(str(path).encode(), os.O_WRONLY | os.O_CREAT, 0o600)


def make_files(folder: Path, count: int) -> None:
    for number in range(count):
        (folder / str(number)).touch()


def hold_files(path: Path, count: int) -> None:
    _ = [path.open() for _ in range(count)]


def connect(port: int) -> None:
    socket.create_connection(("127.0.0.1", port), timeout=5)


def connect_in_c() -> int:
    return ctypes.CDLL(None).socket(socket.AF_INET, socket.SOCK_STREAM, 0)


def run_program() -> None:
    subprocess.run(["/bin/true"], check=True)


def report(kind: str) -> None:
    if kind == "problems":
        raise ProblemsError([Problem("r.yaml", 2, 3, "wrong"), Problem("r.yaml", 1, 1, "too")])
    if kind == "user":
        raise UserError("say so", exit_code=3)
    raise LookupError("not there")


def forge(path: Path) -> Any:
    return _Forged(os.mkdir, str(path))


def show_environment() -> dict[str, str]:
    return dict(os.environ)


def print_and_return() -> int:
    print("in the way of the answer")
    sys.stdout.flush()
    os.write(1, b"also this")
    return 3


def give(mib: int) -> bytes:
    return b"x" * (mib * 1024 * 1024)


def note_and_loop(started: Path) -> None:
    """Write down which process this is, and go on for ever."""
    started.write_text(str(os.getpid()))
    loop()


def fork() -> int:
    return os.fork()


def fork_in_c() -> int:
    """Fork where no hook of Python's looks; a process that is made ends at once."""
    library = ctypes.CDLL(None)
    made: int = library.fork()
    if made == 0:
        os._exit(0)
    return made


def run_threads() -> list[int]:
    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(abs, range(-4, 0)))


def modules_of_a_schema() -> set[str]:
    """Return what a process has loaded that held an answer against a schema."""
    from raygen.checks import find_mismatch

    find_mismatch(1, {})
    return set(sys.modules)


def read_endless_answers() -> list[str]:
    """Return what is read from answers that go on and on."""
    from raygen.ops.common.edits import extract_edit
    from raygen.ops.mask_topic_words import OP
    from raygen.testing import run_op

    row = {"question": "Why is ice cold?", "choices": ["a b", "c d"], "answer": 0}
    read = []
    for part in (" ", "-", "=", "label ", "\n", "_ ", "* "):
        answer = f"ice{part * 10_000}b"
        read.append(extract_edit(answer, "a text", ["a b", "c d"])[:3])
        outcomes, _ = asyncio.run(run_op(OP, row, [answer], phrases="engine"))
        read.append(type(outcomes[0]).__name__)
    return read
