"""What a process may take, and the error that says which limit ended it.

Knows nothing of processes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raygen.core.errors import UserError

MIB = 1024 * 1024

LimitName = Literal["memory", "cpu", "time", "file", "result", "crash"]


@dataclass(frozen=True, slots=True)
class Limits:
    """What one piece of work may take; real fences on Linux unless said otherwise.

    - `memory`: bytes of address space beyond what the process has before the work begins
      (`RLIMIT_AS`).
    - `cpu_s`: seconds of CPU time (`ITIMER_PROF`); `wall_s`: seconds by the clock, after which the
      process group is killed.
    - `file_bytes`: the size of a file that it writes (`RLIMIT_FSIZE`); `open_files`: how many files
      it may have open at once (`RLIMIT_NOFILE`).
    - `new_files`: how many files it may make. Counted where Python opens them: a library in C isn't
      held to it.
    - `writable`: the folders, which exist, that it may write into, by default none (Landlock, from
      Linux 5.13; it can't start programs either). Elsewhere only Python's own writing is refused.
    - `readable`: the files and folders, which exist, that it may read, besides what it may write;
      None is all. `listed`: the folders that it may list the names in. Landlock only: elsewhere
      nothing holds it to them.
    - `network`: whether it may open sockets. Where not, the kernel refuses them (a seccomp filter,
      on x86-64 and ARM64); elsewhere only Python's own sockets are refused.
    - `result_bytes`: the size of what comes back.
    """

    memory: int = 512 * MIB
    cpu_s: float = 10.0
    wall_s: float = 30.0
    file_bytes: int = 64 * MIB
    open_files: int = 64
    new_files: int = 1000
    writable: tuple[Path, ...] = ()
    readable: tuple[Path, ...] | None = None
    listed: tuple[Path, ...] = ()
    network: bool = False
    result_bytes: int = 64 * MIB


class LimitError(UserError):
    """Work that a limit ended; `limit` says which."""

    def __init__(self, message: str, limit: LimitName) -> None:
        super().__init__(message)
        self.limit = limit
