"""Event loops: a coroutine run to its end from plain code, in a notebook too, and who cancelled it.

Knows nothing of what it runs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

_Value = TypeVar("_Value")


def run_coroutine(work: Coroutine[Any, Any, _Value]) -> _Value:
    """Return the coroutine's value; where this thread's event loop runs already, from another
    thread."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(asyncio.run, work).result()


def cancelled_by_library() -> bool:
    """Tell whether the CancelledError at hand comes from a library: nobody cancelled the running
    task.

    Such an error must not go on as a cancellation: a TaskGroup takes no notice of it, and the work
    is lost without a word.
    """
    task = asyncio.current_task()
    return task is None or task.cancelling() == 0
