"""Calls that the rows made of one source row share: of equal ones only the first is asked.

Knows nothing of engines or of what a call asks.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

_T = TypeVar("_T")


class SharedCalls:
    """The answers of one source row's shared calls. An error is no answer: the next one asks."""

    def __init__(self) -> None:
        self._answers: dict[str, Any] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def answer(self, call_id: str, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Return the answer of the first call of this id, which is asked if there is none."""
        async with self._locks[call_id]:
            if call_id not in self._answers:
                self._answers[call_id] = await ask()
            answer: _T = self._answers[call_id]
            return answer
