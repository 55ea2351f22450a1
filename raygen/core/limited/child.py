"""The child's side: takes pieces of work from its standard input and answers on its output.

Runs as `python -I -c`, so it imports little. Knows nothing of what the work is.
"""

from __future__ import annotations

import errno
import os
import pickle
import resource
import signal
import struct
import sys
from contextlib import suppress
from io import BytesIO
from typing import Any, BinaryIO

from raygen.core.limited.environment import withhold
from raygen.core.limited.fence import (
    fence_files,
    fence_network,
    fence_processes,
    watch_python,
)
from raygen.core.limited.limits import Limits

HEADER = struct.Struct("=Q")
_PAGE = resource.getpagesize()


def serve() -> None:
    """Run the pieces of work of standard input until it ends. Never returns."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    requests = sys.stdin.buffer
    sys.dont_write_bytecode = True
    limits: Limits
    limits, withheld = pickle.loads(_read(requests))  # noqa: S301 - the parent's own
    withhold(withheld)
    _restrict(limits)
    while request := _read(requests):
        reply = _reply(request, limits)
        answers.write(HEADER.pack(len(reply)) + reply)
        answers.flush()
    os._exit(0)


def _read(requests: BinaryIO) -> bytes:
    header = requests.read(HEADER.size)
    return requests.read(HEADER.unpack(header)[0]) if len(header) == HEADER.size else b""


def _restrict(limits: Limits) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_FSIZE, (limits.file_bytes, limits.file_bytes))
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits.open_files, limits.open_files))
    files_held = fence_files(limits.writable, limits.readable, limits.listed)
    network_held = limits.network or fence_network()
    fence_processes()
    watch_python(limits.new_files, None if files_held else limits.writable, network_held)


def _reply(request: bytes, limits: Limits) -> bytes:
    """Run one piece of work; return its outcome's kind and value, pickled."""
    try:
        function, args, kwargs = pickle.loads(request)  # noqa: S301 - the parent's own
    except Exception as error:  # noqa: BLE001 - goes to the parent as it is
        return _dumped(("raised", error))
    outcome: tuple[str, Any]
    _begin(limits)
    try:
        outcome = ("value", function(*args, **kwargs))
    except MemoryError:
        outcome = ("limit", "memory")
    except OSError as error:
        reached = error.errno in (errno.EFBIG, errno.EMFILE)
        outcome = ("limit", "file") if reached else ("raised", error)
    except Exception as error:  # noqa: BLE001 - goes to the parent as it is
        outcome = ("raised", error)
    except (KeyboardInterrupt, SystemExit) as error:
        outcome = ("raised", RuntimeError(f"the work ended by {error!r}"))
    _end()
    return _dumped(outcome)


def _begin(limits: Limits) -> None:
    signal.setitimer(signal.ITIMER_PROF, limits.cpu_s)
    signal.alarm(int(limits.wall_s) + 5)  # for a process whose parent is gone
    with suppress(FileNotFoundError), open("/proc/self/statm", "rb") as statm:  # noqa: PTH123 - quick
        _limit(resource.RLIMIT_AS, int(statm.read().split()[0]) * _PAGE + limits.memory)


def _end() -> None:
    signal.setitimer(signal.ITIMER_PROF, 0)
    signal.alarm(0)
    _limit(resource.RLIMIT_AS, resource.RLIM_INFINITY)


def _limit(what: int, most: int) -> None:
    hard = resource.getrlimit(what)[1]
    if hard != resource.RLIM_INFINITY:
        most = hard if most == resource.RLIM_INFINITY else min(most, hard)
    resource.setrlimit(what, (most, hard))


def _dumped(outcome: tuple[str, Any]) -> bytes:
    try:
        return _pickled(outcome)
    except Exception as error:  # noqa: BLE001 - goes to the parent as it is
        kind, value = outcome
        shown = str(value) if kind == "raised" else f"its result can't be sent: {error}"
        return _pickled(("raised", RuntimeError(f"{type(value).__name__}: {shown}")))


class _Pickler(pickle.Pickler):
    """Sends an exception as its class, arguments and attributes, however it is made."""

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, BaseException):
            return revive, (type(obj), obj.args, vars(obj))
        return NotImplemented


def _pickled(value: object) -> bytes:
    buffer = BytesIO()
    _Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL).dump(value)
    return buffer.getvalue()


def revive(cls: type[BaseException], args: tuple[Any, ...], state: dict[str, Any]) -> BaseException:
    """Return an exception without asking its `__init__`."""
    error = cls.__new__(cls, *args)
    error.args = args
    error.__dict__.update(state)
    return error
