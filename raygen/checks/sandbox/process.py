"""Start a program in the sandbox, and end it where it takes too much.

Knows nothing of what makes a program right.
"""

from __future__ import annotations

import json
import logging
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import IO, Any, Literal, cast

from raygen.checks.sandbox.child import UNFENCED
from raygen.core import UserError

log = logging.getLogger(__name__)

MIB = 1024 * 1024
_MAIN = (
    "import sys; report = int(sys.argv[1]); sys.path[:] = sys.argv[2:]; "
    "from raygen.checks.sandbox.child import main; main(report)"
)
_SLICE = 65_536

EndedBy = Literal["itself", "time", "output", "signal"]


class SandboxError(UserError):
    """This machine can't fence a program in, so none was run."""


@dataclass(frozen=True, slots=True)
class ProgramLimits:
    """What a program may take: seconds of computing and by the clock, bytes of memory and output.

    `work_bytes` is what it may write into its own folder.
    """

    cpu_s: float = 5.0
    wall_s: float = 10.0
    memory: int = 512 * MIB
    output_bytes: int = MIB
    work_bytes: int = 16 * MIB


@dataclass(frozen=True, slots=True)
class ProgramJob:
    """A program, and what is done with it once it has run: test code, or calls of a function."""

    program: str
    stdin: str = ""
    tests: Sequence[str] = ()
    function: str = ""
    calls: Sequence[Sequence[Any]] = ()


@dataclass(frozen=True, slots=True)
class ProgramEnd:
    """How a program ended.

    `report` is what its tests or calls gave: `error` of the program itself, `passed` tests and the
    `failure` of the next one, `results` of calls. It is None where the program ended before them.
    """

    ended_by: EndedBy
    code: int
    stdout: str
    stderr: str
    report: dict[str, Any] | None = field(default=None)


def run_program(
    job: ProgramJob,
    limits: ProgramLimits = ProgramLimits(),
    namespaces: bool = True,
) -> ProgramEnd:
    """Run a Python program in one process that sees no file, network or variable of ours.

    It has Python's standard library and, with `namespaces`, an empty folder of its own; without, or
    where the kernel allows none, it can write nothing. Raises SandboxError where the kernel holds a
    process to less.
    """
    nonce = secrets.token_hex(16)
    with tempfile.TemporaryDirectory(prefix="raygen-program-") as root:
        content = {
            "program": job.program, "stdin": job.stdin, "tests": list(job.tests),
            "function": job.function, "calls": [list(call) for call in job.calls],
            "nonce": nonce, "root": root, "namespaces": namespaces, "cpu_s": limits.cpu_s,
            "memory": limits.memory, "work_bytes": limits.work_bytes,
        }  # fmt: skip
        end, report = _run(json.dumps(content).encode(), limits)
    if end.code == UNFENCED and not report:
        raise SandboxError(
            "this machine can't hold a program to its own folder, so no program was run: "
            f"{end.stderr.strip() or 'it has neither namespaces nor Landlock, or no seccomp'}; use "
            "Linux 5.13 or later on x86-64 or ARM64, or allow user namespaces"
        )
    return ProgramEnd(end.ended_by, end.code, end.stdout, end.stderr, _checked(report, nonce))


def _checked(report: bytes, nonce: str) -> dict[str, Any] | None:
    """Read the report; None for none, or one that the program made up."""
    try:
        value = json.loads(report)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or value.pop("nonce", None) != nonce:
        return None
    _say_fences(tuple(value.pop("fences")))
    return value


@lru_cache
def _say_fences(fences: tuple[str, ...]) -> None:
    missing = {"namespaces", "files"} - set(fences)
    if missing:
        kinds = {"namespaces": "user namespaces", "files": "Landlock"}
        names = " and ".join(sorted(kinds[name] for name in missing))
        log.warning(
            "programs are fenced in without %s, which this kernel doesn't allow; held by %s",
            names,
            ", ".join(fences),
        )


def _run(content: bytes, limits: ProgramLimits) -> tuple[ProgramEnd, bytes]:
    ours, theirs = os.pipe()
    try:
        process = subprocess.Popen(
            [sys.executable, "-S", "-s", "-P", "-B", "-c", _MAIN, str(theirs), *_search_path()],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            pass_fds=(theirs,),
            env={"PYTHONHASHSEED": "0", "LANG": "C.UTF-8", "PYTHONUTF8": "1"},
            start_new_session=True,
        )
    finally:
        os.close(theirs)
    try:
        with suppress(BrokenPipeError):
            stdin = cast("IO[bytes]", process.stdin)
            stdin.write(content)
            stdin.close()
        ended_by, texts = _read(process, ours, limits)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        os.close(ours)
        for pipe in (process.stdout, process.stderr):
            cast("IO[bytes]", pipe).close()
    code = process.returncode
    if ended_by == "itself" and (code < 0 or code > 128):
        ended_by = "signal"
        code = -code if code < 0 else code - 128
    stdout, stderr, report = (bytes(text) for text in texts)
    out, errors = (text.decode("utf-8", "replace") for text in (stdout, stderr))
    return ProgramEnd(ended_by, code, out, errors), report


def _read(
    process: subprocess.Popen[bytes], report: int, limits: ProgramLimits
) -> tuple[EndedBy, list[bytearray]]:
    """Read what the program writes until it ends or reaches a limit."""
    deadline = time.monotonic() + limits.wall_s
    pipes = [process.stdout, process.stderr, report]
    texts = [bytearray() for _ in pipes]
    with selectors.DefaultSelector() as selector:
        for pipe, text in zip(pipes, texts, strict=True):
            selector.register(cast("IO[bytes] | int", pipe), selectors.EVENT_READ, text)
        while selector.get_map():
            left = deadline - time.monotonic()
            if left <= 0:
                return "time", texts
            for key, _ in selector.select(left):
                received = os.read(key.fd, _SLICE)
                key.data.extend(received)
                if not received:
                    selector.unregister(key.fileobj)
                elif len(key.data) > limits.output_bytes:
                    return "output", texts
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:  # it closed what it writes to, and goes on
        return "time", texts
    return "itself", texts


def _search_path() -> list[str]:
    own = str(Path(__file__).parents[3])
    return [own, *(path or str(Path.cwd()) for path in sys.path if path != own)]
