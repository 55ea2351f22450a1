"""Whether an endpoint answers at all: a circuit that opens when everything fails, and closes again.

While it is open one request asks on and the others wait for it: so an endpoint that is down is not
asked by hundreds at once, and a row doesn't use its attempts up on one fault that is everyone's.
Knows nothing of HTTP or time.
"""

from __future__ import annotations

import asyncio

OPENS_AT = 8
"""So many failures in a row, of all requests, open it."""


class CircuitBreaker:
    """Closed while requests are answered. `failed` and `answered` tell it of every attempt."""

    def __init__(self) -> None:
        self._failures = 0
        self._asking = False
        self._waiting: set[asyncio.Future[None]] = set()

    @property
    def open(self) -> bool:
        """Whether everything failed of late."""
        return self._failures >= OPENS_AT

    async def enter(self) -> bool:
        """Wait until the endpoint may be asked; whether it is for this one alone to ask.

        Who asks alone calls `leave` in the end. Raises what `give_up` was told.
        """
        while self.open and self._asking:
            turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiting.add(turn)
            try:
                await turn
            finally:
                self._waiting.discard(turn)
        if self.open:
            self._asking = True
        return self.open

    def leave(self) -> None:
        """End a probe: while the circuit is still open, another request may probe."""
        self._asking = False
        self._wake()

    def failed(self) -> bool:
        """Record a failed attempt; tell whether it has opened the circuit."""
        self._failures += 1
        return self._failures == OPENS_AT

    def answered(self) -> bool:
        """Record an answer; tell whether it has closed the circuit."""
        was_open, self._failures = self.open, 0
        if was_open:
            self._wake()
        return was_open

    def give_up(self, error: Exception) -> None:
        """Give the endpoint up: end all who wait for it with this error."""
        self._failures = 0
        for turn in self._waiting:
            if not turn.done():
                turn.set_exception(error)

    def _wake(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)
