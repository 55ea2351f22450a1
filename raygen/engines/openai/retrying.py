"""Retry requests to one endpoint: backoff, an adaptive limit, a circuit breaker.

Knows nothing of HTTP: an attempt is a function that succeeds, fails, or raises what ends a request.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Awaitable, Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar

from raygen.engines.base import EngineUnavailableError, RequestRefusedError
from raygen.engines.openai.admission import AdaptiveLimit, CircuitBreaker, FirstAlone, Gate
from raygen.engines.openai.refusals import RefusalError, RetryableFailure

T = TypeVar("T")
log = logging.getLogger(__name__)

ATTEMPTS = 6
LONGEST_WAIT = 30.0
_GROWTH = 2.0
_GROWTH_OPEN = 4.0
"""The factor from one wait to the next; the second while the circuit is open, which waits about a
minute in all for an endpoint that fails every request."""
PATIENCE = 120.0
"""Seconds in which an endpoint that is busy, or fails some requests, must answer at least one; else
it counts as unavailable."""


def retry_after_s(retry_after: str | None, date: str | None) -> float | None:
    """Return a Retry-After header, in seconds or as a date, as seconds from the reply's own date.

    Never longer than an endpoint's patience: it is then asked once more.
    """
    if retry_after is None:
        return None
    try:
        wait = float(retry_after)
    except ValueError:
        try:
            until = parsedate_to_datetime(retry_after).timestamp()
            wait = until - parsedate_to_datetime(date or "").timestamp()
        except ValueError:
            return None
    return min(max(0.0, wait), PATIENCE) if math.isfinite(wait) else None


class Retrying:
    """The requests to one endpoint. `first_alone` lets the first request go ahead of the others."""

    def __init__(self, where: str, first_wait: float, max_concurrency: int, slow: float) -> None:
        """Begin with nothing in flight.

        Args:
            where: names the engine and its address in messages.
            first_wait: seconds before the first retry; each further wait is twice as long.
            max_concurrency: the upper bound of the adaptive limit.
            slow: a latency in seconds above which fewer requests are sent at a time.
        """
        self._where = where
        self._first_wait = first_wait
        self._gate = Gate(AdaptiveLimit(max_concurrency, slow=slow))
        self._circuit = CircuitBreaker()
        self.first_alone = FirstAlone()
        self._answered_at = float("-inf")
        self._worked_at = float("-inf")

    async def run(
        self,
        attempt: Callable[[], Awaitable[T | RetryableFailure]],
        *,
        counts_as_work: bool = True,
    ) -> T:
        """Make attempts until one succeeds, and return what that gives.

        An attempt returns a RetryableFailure, or raises what ends the request. `counts_as_work`:
        its success shows that the endpoint does what it is there for. Raises
        EngineUnavailableError when attempts are used up and no other request was answered meanwhile
        or of late, and RequestRefusedError (`bad_response`) when others were.
        """
        first = time.monotonic()
        attempts = 0
        is_probe = False
        try:
            while True:
                is_probe = is_probe or await self._circuit.enter()
                await self._gate.enter()
                if self._circuit.open and not is_probe:  # it opened while this request waited
                    self._gate.leave()
                    continue
                attempts += 1
                outcome = await self._try(attempt, counts_as_work)
                if not isinstance(outcome, RetryableFailure):
                    return outcome
                if attempts >= ATTEMPTS:
                    self._give_up(outcome, attempts, first)
                await asyncio.sleep(self._wait(attempts) + (outcome.retry_after or 0.0))
        finally:
            if is_probe:
                self._circuit.leave()

    def _wait(self, attempts: int) -> float:
        """Seconds until the next attempt: longer each time, and never the same for two requests."""
        growth = _GROWTH_OPEN if self._circuit.open else _GROWTH
        wait = min(self._first_wait * growth ** min(attempts - 1, 10), LONGEST_WAIT)
        return wait * random.uniform(0.5, 1.0)

    async def _try(
        self, attempt: Callable[[], Awaitable[T | RetryableFailure]], counts_as_work: bool
    ) -> T | RetryableFailure:
        """Make one attempt inside the gate, and adapt limit and circuit breaker to it."""
        started = time.monotonic()
        try:
            outcome = await attempt()
            self._learn(outcome, started)
            if counts_as_work:
                self.first_alone.open()
                if not isinstance(outcome, RetryableFailure):
                    self._worked_at = time.monotonic()
        except (RequestRefusedError, RefusalError):
            self._circuit.answered()
            raise
        finally:
            self._gate.leave()
        return outcome

    def _learn(self, outcome: object, started: float) -> None:
        now = time.monotonic()
        limit = self._gate.limit
        if not isinstance(outcome, RetryableFailure):
            self._answered_at = now
            if self._circuit.answered():
                log.warning("%s answers again", self._where)
            limit.answered(started, now, busy=self._gate.inside * 10 >= limit.value * 9)
        elif outcome.kind == "busy":
            limit.pushed_back(started, now)
        elif self._circuit.failed():
            log.warning("%s: one request asks on, others wait for it", outcome.message)

    def _give_up(self, trouble: RetryableFailure, attempts: int, first: float) -> None:
        """Raise the error that ends a request; return where a busy endpoint deserves patience."""
        others_answered = self._answered_at > first or self._worked_at > time.monotonic() - PATIENCE
        if trouble.kind == "busy" and self._answered_at > time.monotonic() - PATIENCE:
            return
        if trouble.kind == "broken" and others_answered:
            raise RequestRefusedError("bad_response", f"{trouble.message}, {attempts} times")
        remedy = (
            "look into the server's log, or ask its provider"
            if trouble.answered
            else "start the server or correct args.base_url"
        )
        away = EngineUnavailableError(
            f"{trouble.message}, {attempts} times in {time.monotonic() - first:.0f} s; {remedy}, "
            "then run again: what is not done stays pending"
        )
        self._circuit.give_up(away)
        raise away
