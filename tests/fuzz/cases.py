"""A property over generated cases: counted, each with limits of time and memory.

`make test` runs a fixed sample, `make fuzz` (RAYGEN_FUZZ=all) 100,000 cases of each target. To
generate a case takes longer than to run it, so there each is varied many times over. What a case
allocates beyond its limit ends it with a MemoryError.
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import zlib
from collections import Counter
from collections.abc import Callable, Iterator
from functools import wraps
from inspect import signature
from pathlib import Path
from random import Random
from types import FrameType
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis.errors import UnsatisfiedAssumption
from hypothesis.strategies import SearchStrategy

from tests.fuzz.variation import varied

ALL = os.environ.get("RAYGEN_FUZZ") == "all"
LEAST = 100_000
"""Cases that `make fuzz` must have had of each target."""
TARGETS = {
    "answers": 8.8, "pairs": 1.0, "replies": 2.5, "yaml": 2.0, "recipes": 2.0, "students": 2.0,
    "templates": 2.6, "logs": 1.0, "references": 3.5, "rows": 3.8, "secrets": 4.0,
}  # fmt: skip
"""Each target with the weights of its properties added up."""
COUNTS: Counter[tuple[str, str]] = Counter()
"""Cases by target and property."""
_VARIANTS = 100
_HANG_S = 30.0
_MEMORY = 2**30
"""Bytes of addresses that a case may take beyond what the process has."""

_CHECKS = (HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.function_scoped_fixture)
_SAMPLE = settings(derandomize=True, database=None, deadline=None, suppress_health_check=_CHECKS)
_EVERYTHING = settings(database=None, deadline=None, suppress_health_check=_CHECKS, print_blob=True)


class HangError(BaseException):
    """A case that took so long that it counts as a hang, whatever exceptions it catches."""


def cases(
    target: str,
    *strategies: SearchStrategy[Any],
    weight: float = 1.0,
    sample: int = 30,
    vary: tuple[int, ...] = (),
) -> Callable[..., Any]:
    """Run a test on generated cases, which are its last arguments.

    `weight` is its part of the target's cases in `make fuzz`, `sample` how many `make test` runs.
    `vary` are the places among the generated values whose variations are cases too.
    """
    variants = _VARIANTS if ALL and vary else 1
    count = int(LEAST * 1.05 * weight / TARGETS[target] / variants) + 1 if ALL else sample

    def decorated(test: Callable[..., None]) -> Callable[..., None]:
        name = test.__name__.removeprefix("test_")

        names = list(signature(test).parameters)[-len(strategies) :]

        @wraps(test)
        def each(**given_: Any) -> None:
            fixtures = {name: value for name, value in given_.items() if name not in names}
            args = tuple(given_[name] for name in names)
            before = signal.signal(signal.SIGALRM, _hang)
            try:
                for case in _variants(args, vary, variants):
                    try:
                        _limited(test, {**fixtures, **dict(zip(names, case, strict=True))})
                    except UnsatisfiedAssumption:
                        if case is args:
                            raise
                    except BaseException as error:
                        error.add_note(f"the case: {case!r}")
                        raise
                    else:
                        COUNTS[target, name] += 1
            finally:
                signal.signal(signal.SIGALRM, before)

        run: Callable[..., None] = settings(_EVERYTHING if ALL else _SAMPLE, max_examples=count)(
            given(*strategies)(each)
        )
        return run

    return decorated


def _variants(
    args: tuple[Any, ...], vary: tuple[int, ...], count: int
) -> Iterator[tuple[Any, ...]]:
    """Yield the generated values, then variations of them, which hang on nothing else."""
    yield args
    random = Random(zlib.crc32(repr(args).encode("utf-8", "replace")))
    for _ in range(count - 1):
        yield tuple(
            varied(value, random) if place in vary else value for place, value in enumerate(args)
        )


def _limited(test: Callable[..., None], arguments: dict[str, Any]) -> None:
    signal.setitimer(signal.ITIMER_REAL, _HANG_S)
    try:
        with _limited_memory():
            test(**arguments)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


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
