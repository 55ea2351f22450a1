"""An HTTP endpoint: one pool of connections, and requests that are retried.

A reply is read as a stream and counted unpacked, so that memory is bounded whatever is sent, and
what it says of secrets never leaves this module. Knows nothing of what a request means; the caller
hands it bytes and a function that reads the reply.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic, TypeVar
from urllib.request import getproxies, proxy_bypass

import aiohttp
from yarl import URL

from raygen.core import Secrets, credentials_in, environment_secrets
from raygen.engines.args import FromEnvironment, OpenAIArgs, Sent
from raygen.engines.base import EngineSetupError, RequestRefusedError
from raygen.engines.openai.refusals import RefusalError, RetryableFailure, read_refusal
from raygen.engines.openai.reply import BadReplyError, ErrorReplyError
from raygen.engines.openai.retrying import Retrying, retry_after_s

T = TypeVar("T")

MAX_ERROR_BYTES = 2**16
"""How much of an error's text is read; the rest is dropped."""


class Endpoint:
    """The address at `args.base_url`. `name` goes into messages; no secret ever does."""

    def __init__(self, name: str, args: OpenAIArgs, first_wait: float) -> None:
        """`first_wait`: seconds before the first retry; each further wait is twice as long."""
        secrets = {name: os.environ.get(name, "").strip() for name in args.variables}
        for variable, value in secrets.items():
            if not (value.isascii() and value.isprintable()):
                raise EngineSetupError(
                    f"engine {name!r}: the environment variable {variable} holds characters "
                    "that no key has; set it anew"
                )
        self.where = f"engine {name!r} at {args.base_url}"
        self._base = URL(args.base_url)
        self._proxy = None if args.local else _proxy(self._base, self.where)
        if self._proxy is not None:
            self.where += f", by the proxy {_shown(self._proxy)} of the environment"
        sent = {part: _values(getattr(args, part)) for part in ("headers", "query")}
        self._query = sent["query"]
        hidden = (args.key, *secrets.values(), *_credentials(self._proxy))
        self.secrets = Secrets((*hidden, *environment_secrets()))
        self.retrying = Retrying(self.where, first_wait, args.max_concurrency, args.timeout / 2)
        headers = dict(sent["headers"])
        if args.key and not args.brings_key:
            headers["Authorization"] = f"Bearer {args.key}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            timeout=aiohttp.ClientTimeout(total=args.timeout, sock_connect=min(args.timeout, 20)),
            headers=headers,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    def url(self, path: str) -> URL:
        """Return the address of a method, with the query that goes with every request."""
        return (self._base / path).update_query(self._query)

    async def reach(self, url: URL) -> None:
        """GET an address until a server answers, whatever that is.

        Raises EngineUnavailableError where none does.
        """
        call = _Call(url, None, lambda _: None, MAX_ERROR_BYTES, any_status=True)
        await self.retrying.run(partial(self._attempt, call), counts_as_work=False)

    async def send(
        self,
        url: URL,
        body: bytes,
        read: Callable[[bytes], T],
        max_bytes: int,
        content_type: str = "application/json",
    ) -> T:
        """POST `body` until it succeeds; return what `read` makes of the reply.

        `max_bytes` bounds the reply, counted unpacked. `read` raises BadReplyError for a reply to
        ask again for. Raises EngineUnavailableError when retries are used up and no other request
        was answered meanwhile or of late, RequestRefusedError when others were or the reply is too
        large, and RefusalError where the endpoint refuses the request.
        """
        call = _Call(url, body, read, max_bytes, content_type)
        return await self.retrying.run(partial(self._attempt, call))

    async def fetch(self, url: URL, read: Callable[[bytes], T], max_bytes: int) -> T:
        """GET an address until it succeeds; everything else is as for `send`."""
        call = _Call(url, None, read, max_bytes)
        return await self.retrying.run(partial(self._attempt, call), counts_as_work=False)

    async def once(
        self, url: URL, body: bytes | None, read: Callable[[bytes], T], max_bytes: int
    ) -> T | RetryableFailure:
        """Make a single attempt to POST `body` or to GET, outside the limit on requests."""
        return await self._attempt(_Call(url, body, read, max_bytes))

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()

    async def _attempt(self, call: _Call[T]) -> T | RetryableFailure:
        # What the client raises holds the headers that were sent, so nothing is chained to it.
        try:
            async with self._session.request(
                "GET" if call.body is None else "POST",
                call.url,
                data=call.body,
                headers={"Content-Type": call.content_type},
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
        if status == 407 and self._proxy is not None:
            raise self._no_proxy(status)
        if call.any_status:
            return call.read(b"")
        wait = retry_after_s(headers.get("Retry-After"), headers.get("Date"))
        if status == 200:
            return self._read(call, raw, wait)
        return self._refused(status, raw[:MAX_ERROR_BYTES].decode("utf-8", "replace"), wait)

    def _refused(self, status: int, text: str, wait: float | None) -> RetryableFailure:
        refusal = read_refusal(status, text, wait, self.where, self.secrets.hide)
        if isinstance(refusal, RefusalError):
            raise refusal
        return refusal

    def _read(self, call: _Call[T], raw: bytes, wait: float | None) -> T | RetryableFailure:
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
        except ErrorReplyError as error:
            return self._refused(error.status, str(error), wait)
        except (BadReplyError, ValueError, RecursionError) as error:
            message = self.secrets.hide(f"{error}")[:300]
            text = self.secrets.hide(raw[:MAX_ERROR_BYTES].decode("utf-8", "replace"))[:80]
            return RetryableFailure(
                "broken", f"{self.where} sent a bad reply: {message} in {text!r}", answered=True
            )

    def _no_proxy(self, status: int) -> EngineSetupError:
        return EngineSetupError(
            f"{self.where}: the proxy {_shown(self._proxy)} answered {status}: it wants another "
            "user or password; correct them in the environment variable that names the proxy "
            "(HTTPS_PROXY, HTTP_PROXY), or name this host in NO_PROXY"
        )


@dataclass(frozen=True, slots=True)
class _Call(Generic[T]):
    """A request, how its reply is read, and how large that may be."""

    url: URL
    body: bytes | None
    read: Callable[[bytes], T]
    max_bytes: int
    content_type: str = "application/json"
    any_status: bool = False


async def _read_body(response: aiohttp.ClientResponse, most: int) -> bytes:
    """Return a body as a stream unpacked it; the rest of one that is larger stays unread."""
    body = bytearray()
    async for part in response.content.iter_any():
        body += part
        if len(body) > most:
            response.close()
            break
    return bytes(body)


def _values(sent: Mapping[str, Sent]) -> dict[str, str]:
    return {
        name: value.value if isinstance(value, FromEnvironment) else value
        for name, value in sent.items()
    }


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
