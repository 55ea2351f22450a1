"""An HTTP endpoint: one pool of connections, retries with backoff, a limit that adapts, a circuit.

Knows nothing of what is asked; the caller hands it bytes and a function that reads the reply.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from typing import TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from raygen.engines.args import OpenAIArgs
from raygen.engines.base import EngineSetupError, EngineUnavailableError, RequestRefusedError
from raygen.engines.openai.adaptive_limit import AdaptiveLimit, Gate
from raygen.engines.openai.circuit_breaker import CircuitBreaker
from raygen.engines.openai.reply import BadReplyError
from raygen.engines.openai.secret import Secret
from raygen.engines.openai.wire import DialectError, RetryableFailure, error_of_status

T = TypeVar("T")
log = logging.getLogger(__name__)

ATTEMPTS = 6
LONGEST_WAIT = 30.0
_GROWTH = 2.0
_GROWTH_OPEN = 4.0
"""Each wait is so many times as long as the one before: by itself, and for an endpoint that fails
everyone, which is thus waited for about a minute in all."""
PATIENCE = 120.0
"""Seconds in which an endpoint that is busy, or fails some, must answer somebody, or it counts as
away."""


class Endpoint:
    """The address at `args.base_url`. `name` goes into messages; the key never does."""

    def __init__(self, name: str, args: OpenAIArgs, first_wait: float) -> None:
        """`first_wait`: seconds before the first retry; each further one waits twice as long."""
        if not (args.key.isascii() and args.key.isprintable()):
            raise EngineSetupError(
                f"engine {name!r}: the environment variable {args.api_key_env} holds characters "
                "that no key has; set it anew"
            )
        self.where = f"engine {name!r} at {args.base_url}"
        self._secret = Secret(args.key)
        self._first_wait = first_wait
        self._proxy = None if args.local else _proxy(URL(args.base_url))
        self._gate = Gate(AdaptiveLimit(args.max_concurrency, slow=args.timeout / 2))
        self._circuit = CircuitBreaker()
        self._answered_at = float("-inf")
        self._worked_at = float("-inf")
        headers = {"Content-Type": "application/json"}
        if args.key:
            headers["Authorization"] = f"Bearer {args.key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=args.timeout, sock_connect=min(args.timeout, 20)),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(
        self,
        url: URL,
        body: bytes | None,
        read: Callable[[bytes], T],
        ignored: frozenset[int] = frozenset(),
    ) -> T | None:
        """POST `body` (GET without one) until it succeeds; what `read` makes of the reply.

        None for a status in `ignored`. `read` raises BadReplyError for a reply to ask again for.
        Raises EngineUnavailableError when retries are used up and nobody else got an answer
        meanwhile or of late, RequestRefusedError when others did, and what `refusal` raises.
        """
        first = time.monotonic()
        attempt = 0
        alone = False
        try:
            while True:
                alone = alone or await self._circuit.enter()
                await self._gate.enter()
                if self._circuit.open and not alone:  # it has opened while this one waited
                    self._gate.leave()
                    continue
                attempt += 1
                outcome = await self._try(url, body, read, ignored)
                if not isinstance(outcome, RetryableFailure):
                    return outcome
                if attempt >= ATTEMPTS:
                    self._give_up(outcome, attempt, first)
                await asyncio.sleep(self._wait(attempt) + (outcome.retry_after or 0.0))
        finally:
            if alone:
                self._circuit.leave()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _wait(self, attempt: int) -> float:
        """Seconds until the next attempt: longer each time, and never the same for two requests."""
        growth = _GROWTH_OPEN if self._circuit.open else _GROWTH
        wait = min(self._first_wait * growth ** min(attempt - 1, 10), LONGEST_WAIT)
        return wait * random.uniform(0.5, 1.0)

    async def _try(
        self, url: URL, body: bytes | None, read: Callable[[bytes], T], ignored: frozenset[int]
    ) -> T | RetryableFailure | None:
        """Make one attempt inside the gate, and adapt limit and circuit breaker to it."""
        started = time.monotonic()
        try:
            outcome = await self._attempt(url, body, read, ignored)
            self._learn(outcome, started)
            if body is not None and not isinstance(outcome, RetryableFailure):
                self._worked_at = time.monotonic()
        except (RequestRefusedError, DialectError):
            self._circuit.answered()
            raise
        finally:
            self._gate.leave()
        return outcome

    async def _attempt(
        self, url: URL, body: bytes | None, read: Callable[[bytes], T], ignored: frozenset[int]
    ) -> T | RetryableFailure | None:
        method = "GET" if body is None else "POST"
        try:
            async with self._session.request(
                method, url, data=body, proxy=self._proxy, allow_redirects=False
            ) as response:
                raw = self._secret.out_of(await response.read())
                status, headers = response.status, response.headers
        except aiohttp.ClientSSLError as error:
            raise EngineSetupError(
                f"{self.where}: no secure connection ({self._secret.hidden(str(error))})"
            ) from error
        except aiohttp.ClientConnectorError as error:
            return RetryableFailure(
                "unreachable", f"{self.where} can't be reached ({error.os_error})"
            )
        except TimeoutError:
            return RetryableFailure("broken", f"{self.where} did not answer in time (args.timeout)")
        except (aiohttp.ClientError, ConnectionError) as error:
            # Not its repr, which has the headers that were sent.
            message = self._secret.hidden(
                " ".join(f"{type(error).__name__}: {error}".split())[:300]
            )
            return RetryableFailure("broken", f"{self.where} broke off: {message}")
        if status == 200:
            try:
                return read(raw)
            except (BadReplyError, ValueError, RecursionError) as error:
                text = self._secret.hidden(raw.decode("utf-8", "replace"))[:80]
                return RetryableFailure(
                    "broken", f"{self.where} sent a bad reply: {error} in {text!r}"
                )
        if status in ignored:
            return None
        text = self._secret.hidden(raw.decode("utf-8", "replace"))
        wait = _seconds(headers.get("Retry-After"), headers.get("Date"))
        return error_of_status(status, text, wait, self.where)

    def _learn(self, outcome: object, started: float) -> None:
        now = time.monotonic()
        limit = self._gate.limit
        if not isinstance(outcome, RetryableFailure):
            self._answered_at = now
            if self._circuit.answered():
                log.warning("%s answers again", self.where)
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
        away = EngineUnavailableError(
            f"{trouble.message}, {attempts} times in {time.monotonic() - first:.0f} s; start the "
            "server or correct args.base_url, then run again: what is not done stays pending"
        )
        self._circuit.give_up(away)
        raise away


def _proxy(url: URL) -> str | None:
    """Return the proxy that the environment names for this address, looked up once."""
    host = url.host or ""
    return None if proxy_bypass(host) else getproxies().get(url.scheme)


def _seconds(retry_after: str | None, date: str | None) -> float | None:
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
