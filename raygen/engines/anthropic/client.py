"""The official SDK's client, with bounds on what a server may send, and its errors as the engine's.

The SDK makes connections, headers and addresses; retries are the engine's, since they share a limit
and a circuit breaker with all other requests.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

import anthropic
import httpx2

from raygen.core import Secrets
from raygen.engines.args import AnthropicArgs
from raygen.engines.base import EngineSetupError, EngineUnavailableError, RequestRefusedError
from raygen.engines.openai import RetryableFailure, retry_after_s

MAX_REPLY_BYTES = 2**26
MAX_RESULTS_BYTES = 2**32
"""Bounds on a reply and on the results of a batch, as they are sent: they aren't packed."""

_TOO_LONG = re.compile(r"prompt is too long|too many tokens|exceeds? .{0,40}context", re.I)
_NO_CREDIT = re.compile(r"credit balance|billing|usage limits?\b|spend(ing)? limit", re.I)
_BUSY = frozenset({429, 503, 529})
_RETRIED = frozenset({408, 409, 425})


def make_client(args: AnthropicArgs) -> anthropic.AsyncAnthropic:
    """Make a client that asks for unpacked replies, bounds them and tries nothing again."""
    http = anthropic.DefaultAsyncHttpxClient(event_hooks={"response": [_bound]})
    return anthropic.AsyncAnthropic(
        # Without a key the SDK would look for other credentials of the user's, and send those.
        api_key=args.key or "no-key",
        base_url=args.base_url,
        timeout=args.timeout,
        max_retries=0,
        default_headers={"Accept-Encoding": "identity"},
        http_client=http,
    )


def judge(
    error: anthropic.APIError, where: str, variable: str, secrets: Secrets
) -> RetryableFailure:
    """Return a failure that may go better the next time, or raise what ends the row or the run.

    `where` names the engine and its address, `variable` the one that has the key. Raises
    RequestRefusedError, EngineSetupError or EngineUnavailableError.
    """
    message = " ".join(secrets.hide(error.message).split())[:400]
    if isinstance(error, anthropic.APITimeoutError):
        return RetryableFailure("broken", f"{where} did not answer in time (args.timeout)")
    if isinstance(error, anthropic.APIConnectionError):
        cause = secrets.hide(" ".join(f"{error.__cause__ or error}".split()))[:300]
        return RetryableFailure("unreachable", f"{where} can't be reached ({cause})")
    if not isinstance(error, anthropic.APIStatusError):
        return RetryableFailure("broken", f"{where} sent a bad reply: {message}", answered=True)
    status = error.status_code
    answered = f"{where} answered {status}: {message}"
    if status in (400, 402, 403, 429) and _NO_CREDIT.search(message):
        raise EngineUnavailableError(f"{answered}; add credit or use another key, then run again")
    if status in _BUSY:
        headers = error.response.headers
        wait = retry_after_s(headers.get("retry-after"), headers.get("date"))
        return RetryableFailure("busy", answered, wait, answered=True)
    if status in _RETRIED or status >= 500:
        return RetryableFailure("broken", answered, answered=True)
    if status in (401, 403):
        raise EngineSetupError(
            f"{where} answered {status}: the key is missing, wrong or not allowed to use this "
            f"model; set the environment variable {variable}"
        )
    if status == 413 or (status == 400 and is_too_long(message)):
        raise RequestRefusedError("prompt_too_long", answered)
    if status == 404:
        raise EngineSetupError(f"{answered}; correct the engine's model or args.base_url")
    raise RequestRefusedError("bad_request", answered)


def is_too_long(message: str) -> bool:
    """Tell whether an error is about a prompt that is too long for the model."""
    return _TOO_LONG.search(message) is not None


async def _bound(response: httpx2.Response) -> None:
    """Let a reply break off that is larger than its bound, or packed though nobody wanted it so."""
    packed = response.headers.get("content-encoding", "identity")
    if packed != "identity":
        raise httpx2.DecodingError(f"the reply is packed as {packed[:20]!r}, which wasn't accepted")
    results = response.request.url.path.endswith("/results")
    response.stream = _Bounded(response.stream, MAX_RESULTS_BYTES if results else MAX_REPLY_BYTES)


class _Bounded(httpx2.AsyncByteStream):
    """A body that ends with an error after so many bytes."""

    def __init__(self, body: Any, most: int) -> None:
        self._body = body
        self._most = most

    async def __aiter__(self) -> AsyncIterator[bytes]:
        sent = 0
        async for part in self._body:
            sent += len(part)
            if sent > self._most:
                raise httpx2.ReadError(f"the reply has more than {self._most:,} bytes")
            yield part

    async def aclose(self) -> None:
        await self._body.aclose()
