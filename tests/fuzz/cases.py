"""A property over generated cases: counted, each with limits of time and memory.

`make test` runs a fixed sample, `make fuzz` (RAYGEN_FUZZ=all) over 100,000 cases.
What a case allocates beyond its limit ends it with a MemoryError.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from pathlib import Path
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.strategies import SearchStrategy

ALL = os.environ.get("RAYGEN_FUZZ") == "all"
LEAST = 100_000
"""Cases that `make fuzz` must have had in all."""
COUNTS: Counter[str] = Counter()
_HANG_S = 30.0
_MEMORY = 2**30
"""Bytes of addresses that a case may take beyond what the process has."""

_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
_SAMPLE = settings(
    max_examples=15, derandomize=True, database=None, deadline=None, suppress_health_check=_CHECKS
)
_EVERYTHING = settings(
    max_examples=4200, deadline=None, suppress_health_check=_CHECKS, print_blob=True
)


class HangError(BaseException):
    """A case that took so long that it counts as a hang, whatever exceptions it catches."""


def cases(
    *strategies: SearchStrategy[Any], weight: float = 1.0, sample: int | None = None
) -> Callable[..., Any]:
    """Run a test on generated cases; `weight` is how many of them, where a case is dear or cheap.

    `sample` is how many `make test` runs, where it isn't by weight. The generated values are the
    test's last arguments.
    """

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        chosen = _EVERYTHING if ALL else _SAMPLE

        @wraps(test)
        def timed(*args: Any, **kwargs: Any) -> None:
            before = signal.signal(signal.SIGALRM, _hang)
            signal.setitimer(signal.ITIMER_REAL, _HANG_S)
            try:
                with _limited_memory():
                    test(*args, **kwargs)
            finally:
                signal.setitimer(signal.ITIMER_REAL, 0)
                signal.signal(signal.SIGALRM, before)
            COUNTS[test.__name__.removeprefix("test_")] += 1

        count = max(10, int(chosen.max_examples * weight))
        count = sample if sample is not None and not ALL else count
        run: Callable[..., None] = settings(chosen, max_examples=count)(given(*strategies)(timed))
        return run

    return decorated


@contextlib.contextmanager
def _limited_memory() -> Iterator[None]:
    statm = Path("/proc/self/statm")
    if not statm.exists():
        yield
        return
    taken = int(statm.read_text().split()[0]) * resource.getpagesize()
    before = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (taken + _MEMORY, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)


def _hang(number: int, frame: FrameType | None) -> None:
    raise HangError(f"still running after {_HANG_S:g} s")
