"""The parent's side: starts a child, sends it work, and ends it where a limit is reached.

The child is a fresh interpreter, never a fork: a fork of a process that has threads (polars, Ray,
torch) may hang. What comes back is read as data, whoever wrote it. Knows nothing of the work.
"""

from __future__ import annotations

import atexit
import dataclasses
import importlib
import io
import os
import pickle
import select
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from enum import Enum
from functools import lru_cache
from pathlib import Path
from threading import Lock
from typing import IO, Any, ParamSpec, Self, TypeVar, cast

from raygen.core.limited.child import HEADER, revive
from raygen.core.limited.limits import MIB, LimitError, LimitName, Limits

P = ParamSpec("P")
T = TypeVar("T")

_MAIN = (
    "import sys; sys.path[:] = sys.argv[1:]; from raygen.core.limited.child import serve; serve()"
)
_PASSED = frozenset(
    ["PATH", "HOME", "USER", "LANG", "LANGUAGE", "TZ", "TMPDIR", "VIRTUAL_ENV", "RAYGEN_CACHE",
     "XDG_CACHE_HOME", "HF_HOME"]
)  # fmt: skip
"""Variables that every child has; none of them holds a secret."""
_SMALL = dict.fromkeys(
    ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS",
     "TOKIO_WORKER_THREADS", "MALLOC_ARENA_MAX"],
    "1",
)  # fmt: skip
"""Keep libraries from taking address space by the number of cores."""

_PLAIN = {
    "builtins": ("bytearray", "complex", "frozenset", "range", "set", "slice"),
    "collections": ("Counter", "OrderedDict", "deque"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone"),
    "decimal": ("Decimal",),
    "pathlib": ("PosixPath", "PurePosixPath"),
}


def run_limited(
    function: Callable[..., T],
    *args: object,
    subject: str,
    limits: Limits = Limits(),  # noqa: B008 - frozen
    environment: Mapping[str, str] | None = None,
) -> T:
    """Return what a module's function returns, run in a child process under limits.

    `subject` says what the work is, for messages ("reading s3://bucket/recipe.yaml").
    `environment`: the variables that the child has beside PATH, HOME and their like; no others are
    passed on. The arguments are pickled. What comes back is plain data, paths, and dataclasses,
    enums, pydantic models and exceptions of raygen, streamtrain or the function's own package.

    Raises what the function raises, and LimitError where a limit ends it.
    """
    with LimitedProcess(subject, limits, environment) as process:
        return process.call(function, *args)


def shared_process(subject: str, limits: Limits) -> LimitedProcess:
    """Return this process's child for a subject and its limits; it ends with the process."""
    # By the process: a fork's pipes would be its parent's.
    return _shared_process(subject, limits, os.getpid())


class LimitedProcess:
    """A child process under limits, for many calls: it starts with the first, and again after one
    that a limit ended.

    Time and memory are counted for each call by itself. One call runs at a time.
    """

    def __init__(
        self,
        subject: str,
        limits: Limits = Limits(),  # noqa: B008 - frozen
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self._subject, self._limits = subject, limits
        self._environment = environment or {}
        self._process: subprocess.Popen[bytes] | None = None
        self._turn = Lock()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return what a module's function returns. Raises what it raises, and LimitError."""
        with self._turn:
            return cast("T", self._call(function, args, kwargs))

    def close(self) -> None:
        """End the child and all that it started."""
        process, self._process = self._process, None
        if process is None:
            return
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        for pipe in (process.stdin, process.stdout):
            with suppress(BrokenPipeError):
                cast("IO[bytes]", pipe).close()

    def _call(self, function: Callable[..., Any], args: Any, kwargs: Any) -> Any:
        request = _framed(pickle.dumps((function, args, kwargs)))
        deadline = time.monotonic() + self._limits.wall_s
        if self._process is None:
            environment = _passed(self._environment)
            self._process = _started(environment)
            withheld = frozenset(os.environ.keys() - environment.keys())
            request = _framed(pickle.dumps((self._limits, withheld))) + request
        try:
            reply = self._exchange(self._process, request, deadline)
        except BaseException:
            self.close()
            raise
        package = function.__module__.partition(".")[0]
        kind, value = _Unpickler(io.BytesIO(reply), package).load()
        if kind == "limit":
            raise self._error(value)
        if kind == "raised":
            assert isinstance(value, Exception)  # noqa: S101 - no other class comes through
            raise value
        return value

    def _exchange(self, process: subprocess.Popen[bytes], request: bytes, deadline: float) -> bytes:
        """Send a request and return the reply to it, in the time that is left."""
        stdin = cast("IO[bytes]", process.stdin).fileno()
        stdout = cast("IO[bytes]", process.stdout).fileno()
        waiting, reply, size = memoryview(request), bytearray(), HEADER.size
        ready = select.poll()
        ready.register(stdout, select.POLLIN)
        ready.register(stdin, select.POLLOUT)
        while len(reply) < size:
            left = deadline - time.monotonic()
            events = ready.poll(left * 1000) if left > 0 else []
            if not events:
                raise self._error("time")
            for descriptor, _ in events:
                if descriptor == stdin:
                    waiting = waiting[_write(stdin, waiting) :]
                    if not waiting:
                        ready.unregister(stdin)
                elif received := os.read(stdout, MIB):
                    reply += received
                else:
                    raise self._error(_cause(process))
            if size == HEADER.size <= len(reply):
                size += HEADER.unpack_from(reply)[0]
                if size > self._limits.result_bytes:
                    raise self._error("result")
        return bytes(reply[HEADER.size :])

    def _error(self, limit: LimitName) -> LimitError:
        limits = self._limits
        reached = {
            "memory": f"needs more than {limits.memory // MIB:,} MiB of memory",
            "cpu": f"takes more than {limits.cpu_s:g} s of computing",
            "time": f"takes more than {limits.wall_s:g} s",
            "file": f"writes a file of more than {limits.file_bytes // MIB:,} MiB, opens more than "
            f"{limits.open_files} files or makes more than {limits.new_files:,}",
            "result": f"gives more than {limits.result_bytes // MIB:,} MiB back",
            "crash": "ended its process, as a rule for want of memory (it may have "
            f"{limits.memory // MIB:,} MiB)",
        }[limit]
        return LimitError(
            f"{self._subject} {reached}, and was stopped: something in it is far too large, or has "
            "no end; look at it before you try again",
            limit,
        )


def _passed(environment: Mapping[str, str]) -> dict[str, str]:
    kept = {name: os.environ[name] for name in _PASSED & os.environ.keys()}
    return {**kept, **_SMALL, **environment}


def _started(environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    process = subprocess.Popen(
        [sys.executable, "-I", "-c", _MAIN, *_search_path()],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        bufsize=0,
        env=environment,
        start_new_session=True,
    )
    os.set_blocking(cast("IO[bytes]", process.stdin).fileno(), False)
    return process


def _search_path() -> list[str]:
    own = str(Path(__file__).parents[3])
    return [own, *(path or str(Path.cwd()) for path in sys.path if path != own)]


def _framed(content: bytes) -> bytes:
    return HEADER.pack(len(content)) + content


def _write(stdin: int, content: memoryview) -> int:
    try:
        return os.write(stdin, content[:MIB])
    except BrokenPipeError:
        return len(content)  # it is gone; reading says so


def _cause(process: subprocess.Popen[bytes]) -> LimitName:
    return "cpu" if process.wait() == -signal.SIGPROF else "crash"


class _Unpickler(pickle.Unpickler):
    """Reads data and classes of data; nothing that it reads can call a function."""

    def __init__(self, content: io.BytesIO, package: str) -> None:
        super().__init__(content)
        self._packages = ("raygen", "streamtrain", package)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == (revive.__module__, revive.__name__):
            return revive
        if name in _PLAIN.get(module, ()):
            return super().find_class(module, name)
        known = module.partition(".")[0] in self._packages
        if known or module == "builtins" or module in sys.modules:
            if known:
                importlib.import_module(module)
            cls = super().find_class(module, name)
            if isinstance(cls, type) and (issubclass(cls, Exception) or (known and _is_data(cls))):
                return cls
        raise pickle.UnpicklingError(f"{module}.{name} is no data that may come back")


def _is_data(cls: type) -> bool:
    return (
        dataclasses.is_dataclass(cls)
        or issubclass(cls, Enum)
        or hasattr(cls, "__pydantic_validator__")
        or (issubclass(cls, tuple) and hasattr(cls, "_fields"))
    )


@lru_cache(maxsize=16)
def _shared_process(subject: str, limits: Limits, pid: int) -> LimitedProcess:
    process = LimitedProcess(subject, limits)
    atexit.register(process.close)
    return process
