"""Admit requests to an endpoint: a limit that adapts, its gate, and a circuit breaker.

The limit grows additively and shrinks by a factor, as TCP's window does. The circuit breaker opens
when everything fails: then one request probes the endpoint while the others wait, so that an
endpoint that is down isn't asked by hundreds at once, and a row doesn't use up its attempts on a
fault that is everyone's. The very first request goes alone, so that what an endpoint refuses is
learned by one. Knows nothing of HTTP; the caller passes the time.
"""

from __future__ import annotations

import asyncio
from collections import deque

START = 32
CUT_BUSY = 0.6
CUT_SLOW = 0.9
OPENS_AT = 8
"""Consecutive failures, of all requests, that open the circuit."""
FIRST_ALONE_S = 5.0
_SMOOTH = 0.1


class AdaptiveLimit:
    """A limit in [1, ceiling] on requests in flight. All times are seconds of the same clock.

    The limit doubles each round trip until the endpoint first pushes back, and then grows by one
    per round trip. A push-back cuts it once per round trip, however many requests of that round
    are turned away. A model's latency depends on the length of its answer and says little about
    its load, so only a smoothed latency above `slow` (near the timeout, as the caller defines it)
    cuts the limit, gently, and never below its start.
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
        seconds = now - started
        last = seconds if self._latency is None else self._latency
        self._latency = last + _SMOOTH * (seconds - last)
        if self._latency > self._slow:
            self._cut(started, now, CUT_SLOW, self._start)
        elif busy and started > self._cut_at:
            self._limit += 1.0 if self._doubling else 1.0 / self._limit
            self._limit = min(self._limit, self._ceiling)

    def pushed_back(self, started: float, now: float) -> None:
        """Record that the endpoint was too busy for a request that began at `started`."""
        self._cut(started, now, CUT_BUSY, 1.0)

    def _cut(self, started: float, now: float, factor: float, floor: float) -> None:
        # A request from before the last cut was sent under the former limit.
        if started <= self._cut_at:
            return
        self._doubling = False
        self._cut_at = now
        self._limit = max(min(self._limit, floor), self._limit * factor)


class Gate:
    """Admits as many tasks as the limit allows at the moment, first come, first served."""

    def __init__(self, limit: AdaptiveLimit) -> None:
        self.limit = limit
        self.inside = 0
        self._waiting: deque[asyncio.Future[None]] = deque()

    async def enter(self) -> None:
        """Wait for a slot and take it."""
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
        """Return the slot, and admit the tasks that fit now."""
        self.inside -= 1
        while self._waiting and self.inside < self.limit.value:
            slot = self._waiting.popleft()
            if not slot.done():
                self.inside += 1
                slot.set_result(None)


class CircuitBreaker:
    """Closed while requests are answered. `failed` and `answered` record every attempt."""

    def __init__(self) -> None:
        self._failures = 0
        self._probing = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def open(self) -> bool:
        """Whether every recent attempt failed."""
        return self._failures >= OPENS_AT

    async def enter(self) -> bool:
        """Wait until a request may be sent; return whether it is the only one, a probe.

        A probe calls `leave` when it has ended. Raises the error that `give_up` was called with.
        """
        while self.open and self._probing:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(turn)
            try:
                await turn
            finally:
                self._waiting.discard(turn)
        if self.open:
            self._probing = True
        return self.open

    def leave(self) -> None:
        """End a probe: while the circuit is still open, another request may probe."""
        self._probing = False
        self._wake()

    def failed(self) -> bool:
        """Record a failed attempt; return whether it opened the circuit."""
        self._failures += 1
        return self._failures == OPENS_AT

    def answered(self) -> bool:
        """Record an answer; return whether it closed the circuit."""
        was_open, self._failures = self.open, 0
        if was_open:
            self._wake()
        return was_open

    def give_up(self, error: Exception) -> None:
        """Give up on the endpoint: end all waiting requests with this error."""
        self._failures = 0
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(error)

    def _wake(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)


class FirstAlone:
    """Lets one request go ahead while the others wait, until it opens; then it lets all pass.

    It opens at the first answer or failure, and when the request in front has taken `seconds`: a
    refusal comes at once. A request in front that is refused leaves its place to the next.
    """

    def __init__(self, seconds: float = FIRST_ALONE_S) -> None:
        self._seconds = seconds
        self._is_open = False
        self._is_taken = False
        self._waiting: set[asyncio.Future[None]] = set()

    async def enter(self) -> None:
        """Wait until it is open, or until the place in front is free, and take that."""
        loop = asyncio.get_running_loop()
        while self._is_taken and not self._is_open:
            turn: asyncio.Future[None] = loop.create_future()
            self._waiting.add(turn)
            try:
                await turn
            finally:
                self._waiting.discard(turn)
        if not self._is_open:
            self._is_taken = True
            loop.call_later(self._seconds, self.open)

    def leave(self) -> None:
        """Give up the place in front; without effect once it is open."""
        self._is_taken = False
        self._wake()

    def open(self) -> None:
        """Let all requests pass from now on."""
        self._is_open = True
        self._wake()

    def _wake(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
