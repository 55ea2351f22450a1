"""How many requests an endpoint takes at once: a limit that adapts, and the gate that holds it.

Additive increase, multiplicative decrease, as TCP does it. Knows nothing of HTTP; the caller tells
the time.
"""

from __future__ import annotations

import asyncio
from collections import deque

START = 32
CUT_BUSY = 0.6
CUT_SLOW = 0.9
_SMOOTH = 0.1


class AdaptiveLimit:
    """A limit in [1, ceiling] on requests in flight. All times in seconds of one clock.

    It doubles each round trip until the endpoint pushes back for the first time, and then grows by
    one a round trip. A push back cuts it once per round trip, however many requests of that round
    are turned away. The latency of a model says little of its load, since it depends on the length
    of the answer; so only a smoothed latency above `slow` (the caller's idea of being near the
    timeout) cuts, gently, and never below where the limit started.
    """

    def __init__(self, ceiling: int, slow: float, start: int = START) -> None:
        self._ceiling = float(ceiling)
        self._start = float(min(start, ceiling))
        self._limit = self._start
        self._slow = slow
        self._doubling = True
        self._cut_at = float("-inf")
        self._latency: float | None = None

    @property
    def value(self) -> int:
        """The number of requests that may be in flight now."""
        return int(self._limit)

    def answered(self, started: float, now: float, busy: bool) -> None:
        """Record an answer to a request that began at `started`; `busy`: the limit was used up."""
        took = now - started
        last = took if self._latency is None else self._latency
        self._latency = last + _SMOOTH * (took - last)
        if self._latency > self._slow:
            self._cut(started, now, CUT_SLOW, self._start)
        elif busy and started > self._cut_at:
            self._limit += 1.0 if self._doubling else 1.0 / self._limit
            self._limit = min(self._limit, self._ceiling)

    def pushed_back(self, started: float, now: float) -> None:
        """Record that the endpoint was too busy for a request that began at `started`."""
        self._cut(started, now, CUT_BUSY, 1.0)

    def _cut(self, started: float, now: float, factor: float, floor: float) -> None:
        # A request from before the last cut tells of the limit before it.
        if started <= self._cut_at:
            return
        self._doubling = False
        self._cut_at = now
        self._limit = max(min(self._limit, floor), self._limit * factor)


class Gate:
    """Lets as many tasks in as the limit says at the moment, first come first served."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a place and take it."""
        if self.inside < self.limit.value and not self._waiting:
            self.inside += 1
            return
        slot: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(slot)
        try:
            await slot
        except asyncio.CancelledError:
            if slot.done() and not slot.cancelled():
                self.leave()
            raise

    def leave(self) -> None:
        """Give the place back, and let in whoever fits now."""
        self.inside -= 1
        while self._waiting and self.inside < self.limit.value:
            slot = self._waiting.popleft()
            if not slot.done():
                self.inside += 1
                slot.set_result(None)
