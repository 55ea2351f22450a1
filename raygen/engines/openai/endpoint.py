"""An HTTP endpoint: one pool of connections, retries with backoff, admission.

A reply is read as a stream and counted unpacked, so that memory is bounded whatever is sent, and
what it says of secrets never leaves this module. Knows nothing of what a request means; the caller
hands it bytes and a function that reads the reply.
"""

from __future__ import annotations

import asyncio
import logging
import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from raygen.core import Secrets, credentials_in, environment_secrets
from raygen.engines.args import OpenAIArgs
from raygen.engines.base import EngineSetupError, EngineUnavailableError, RequestRefusedError
from raygen.engines.openai.admission import AdaptiveLimit, CircuitBreaker, Gate
from raygen.engines.openai.reply import BadReplyError
from raygen.engines.openai.wire import DialectError, RetryableFailure, error_of_status

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
MAX_ERROR_BYTES = 2**16
"""How much of an error's text is read; the rest is dropped."""


class Endpoint:
    """The address at `args.base_url`. `name` goes into messages; no secret ever does."""

    def __init__(self, name: str, args: OpenAIArgs, first_wait: float) -> None:
        """`first_wait`: seconds before the first retry; each further wait is twice as long."""
        if not (args.key.isascii() and args.key.isprintable()):
            raise EngineSetupError(
                f"engine {name!r}: the environment variable {args.api_key_env} holds characters "
                "that no key has; set it anew"
            )
        self.where = f"engine {name!r} at {args.base_url}"
        self._first_wait = first_wait
        self._proxy = None if args.local else _proxy(URL(args.base_url), self.where)
        self.secrets = Secrets((args.key, *_credentials(self._proxy), *environment_secrets()))
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
        max_bytes: int,
        ignored: frozenset[int] = frozenset(),
    ) -> T | None:
        """POST `body` (GET without one) until it succeeds; return what `read` makes of the reply.

        `max_bytes` bounds the reply, counted unpacked. Returns None for a status in `ignored`.
        `read` raises BadReplyError for a reply to ask again for. Raises EngineUnavailableError when
        retries are used up and no other request was answered meanwhile or of late,
        RequestRefusedError when others were or the reply is too large, and what `error_of_status`
        raises.
        """
        first = time.monotonic()
        attempt = 0
        is_probe = False
        call = _Call(url, body, read, max_bytes, ignored)
        try:
            while True:
                is_probe = is_probe or await self._circuit.enter()
                await self._gate.enter()
                if self._circuit.open and not is_probe:  # it opened while this request waited
                    self._gate.leave()
                    continue
                attempt += 1
                outcome = await self._try(call)
                if not isinstance(outcome, RetryableFailure):
                    return outcome
                if attempt >= ATTEMPTS:
                    self._give_up(outcome, attempt, first)
                await asyncio.sleep(self._wait(attempt) + (outcome.retry_after or 0.0))
        finally:
            if is_probe:
                self._circuit.leave()

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    def _wait(self, attempt: int) -> float:
        """Seconds until the next attempt: longer each time, and never the same for two requests."""
        growth = _GROWTH_OPEN if self._circuit.open else _GROWTH
        wait = min(self._first_wait * growth ** min(attempt - 1, 10), LONGEST_WAIT)
        return wait * random.uniform(0.5, 1.0)

    async def _try(self, call: _Call[T]) -> T | RetryableFailure | None:
        """Make one attempt inside the gate, and adapt limit and circuit breaker to it."""
        started = time.monotonic()
        try:
            outcome = await self._attempt(call)
            self._learn(outcome, started)
            if call.body is not None and not isinstance(outcome, RetryableFailure):
                self._worked_at = time.monotonic()
        except (RequestRefusedError, DialectError):
            self._circuit.answered()
            raise
        finally:
            self._gate.leave()
        return outcome

    async def _attempt(self, call: _Call[T]) -> T | RetryableFailure | None:
        # What the client raises holds the headers that were sent, so nothing is chained to it.
        try:
            async with self._session.request(
                "GET" if call.body is None else "POST",
                call.url,
                data=call.body,
                proxy=self._proxy,
                allow_redirects=False,
            ) as response:
                status, headers = response.status, response.headers
                most = call.max_bytes if status == 200 else MAX_ERROR_BYTES
                raw = await _read_body(response, most)
        except aiohttp.ClientSSLError as error:
            message = self.secrets.hide(str(error))
            raise EngineSetupError(f"{self.where}: no secure connection ({message})") from None
        except aiohttp.ClientConnectorError as error:
            message = self.secrets.hide(str(error.os_error))
            return RetryableFailure("unreachable", f"{self.where} can't be reached ({message})")
        except TimeoutError:
            return RetryableFailure("broken", f"{self.where} did not answer in time (args.timeout)")
        except aiohttp.ClientHttpProxyError as error:
            if error.status in (401, 403, 407):
                raise self._no_proxy(error.status) from None
            message = f"the proxy {_shown(self._proxy)} answered {error.status}"
            return RetryableFailure("broken", f"{self.where}: {message}")
        except (aiohttp.ClientError, ConnectionError) as error:
            message = self.secrets.hide(" ".join(f"{type(error).__name__}: {error}".split()))
            return RetryableFailure("broken", f"{self.where} broke off: {message[:300]}")
        if status == 200:
            return self._read(call, raw)
        if status in call.ignored:
            return None
        if status == 407 and self._proxy is not None:
            raise self._no_proxy(status)
        text = raw[:MAX_ERROR_BYTES].decode("utf-8", "replace")
        wait = _seconds(headers.get("Retry-After"), headers.get("Date"))
        return error_of_status(status, text, wait, self.where, self.secrets.hide)

    def _read(self, call: _Call[T], raw: bytes) -> T | RetryableFailure:
        """Return what the caller makes of a reply, or that it is none."""
        if len(raw) > call.max_bytes:
            raise RequestRefusedError(
                "response_too_large",
                f"{self.where} sent more than {call.max_bytes:,} bytes, unpacked, which is the "
                "limit of a reply to this request (it grows with `n` and `max_tokens`); correct "
                "the server, which answers more than it was asked for",
            )
        try:
            return call.read(raw)
        except (BadReplyError, ValueError, RecursionError) as error:
            message = self.secrets.hide(f"{error}")[:300]
            text = self.secrets.hide(raw[:MAX_ERROR_BYTES].decode("utf-8", "replace"))[:80]
            return RetryableFailure(
                "broken", f"{self.where} sent a bad reply: {message} in {text!r}"
            )

    def _no_proxy(self, status: int) -> EngineSetupError:
        return EngineSetupError(
            f"{self.where}: the proxy {_shown(self._proxy)} answered {status}: it wants another "
            "user or password; correct them in the environment variable that names the proxy "
            "(HTTPS_PROXY, HTTP_PROXY), or name this host in NO_PROXY"
        )

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


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """A request, how its reply is read, and how large that may be."""

    url: URL
    body: bytes | None
    read: Callable[[bytes], T]
    max_bytes: int
    ignored: frozenset[int]


async def _read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return a body as a stream unpacked it; the rest of one that is larger stays unread."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            response.close()
            break
    return bytes(body)


def _proxy(url: URL, where: str) -> URL | None:
    """Return the proxy that the environment names for this address, looked up once.

    Raises EngineSetupError for one that can't be used; the message doesn't show it.
    """
    named = None if proxy_bypass(url.host or "") else getproxies().get(url.scheme)
    if not named:
        return None
    try:
        proxy = URL(named if "://" in named else f"http://{named}")
        usable = proxy.scheme in ("http", "https") and bool(proxy.host)
    except ValueError:
        usable = False
    if not usable:
        raise EngineSetupError(
            f"{where}: the environment names a proxy for {url.scheme}:// that is no address like "
            "http://host:port; correct the environment variable, or name the host in NO_PROXY"
        )
    return proxy


def _credentials(proxy: URL | None) -> list[str]:
    userinfo = proxy.raw_authority.rpartition("@")[0] if proxy else ""
    return credentials_in(userinfo)


def _shown(proxy: URL | None) -> str:
    return f"{proxy.host}:{proxy.port}" if proxy else ""


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
