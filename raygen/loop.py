"""Running a coroutine to its end from plain code, in a notebook too.

Knows nothing of what it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def in_own_loop(work: Coroutine[Any, Any, _Value]) -> _Value:
    """The coroutine's value; where this thread's event loop runs already, from another thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()
