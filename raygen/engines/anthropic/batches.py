"""Anthropic's Message Batches as a `BatchService`: half the price, an answer within 24 hours.

A batch is created with its requests in it, and can't be found by them before it has ended: an
intent that has no id is taken for the batch of its size that was created after it. Where that is
wrong, its results have none of the requests, which are then sent again.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Any, TypeVar

import anthropic

from raygen.dataset import SentBatch
from raygen.engines.anthropic.client import is_too_long
from raygen.engines.base import EngineSetupError, RequestRefusedError
from raygen.engines.batches import BatchEndedError, BatchProgress, Outcome, RetryLater
from raygen.engines.openai import RetryableFailure

T = TypeVar("T")

_CLOCKS_APART_S = 300.0
_LISTED = 200
_FINAL_ERRORS = frozenset({"invalid_request_error", "not_found_error", "request_too_large"})

Send = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Makes a call of the client until it succeeds; raises what `judge` raises."""


class MessageBatches:
    """The batches of one account; `send` makes each call, with retries."""

    most_requests = 10_000
    most_bytes = 2**27

    def __init__(self, client: anthropic.AsyncAnthropic, send: Send) -> None:
        self._batches = client.messages.batches
        self._send = send

    async def upload(self, requests: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Return None: requests go with the creation."""
        return None

    async def create(
        self, batch: SentBatch, requests: Mapping[str, Mapping[str, Any]] | None
    ) -> str:
        """Create a batch of these requests; look first whether an earlier attempt has done so."""
        if requests is None:
            raise ValueError("a batch of no requests")
        entries = [{"custom_id": name, "params": body} for name, body in requests.items()]
        attempts = 0

        async def create() -> str | RetryableFailure:
            nonlocal attempts
            attempts += 1
            if attempts > 1 and (found := await self._find(batch, frozenset())):
                return found
            created = await self._batches.create(requests=entries)  # type: ignore[arg-type]
            return created.id

        return str(await self._send(create))

    async def find(self, batch: SentBatch, known: frozenset[str]) -> str | None:
        """Find a batch of the same size that was created after the intent."""
        found: str | None = await self._send(lambda: self._find(batch, known))
        return found

    async def look(self, batch: SentBatch) -> BatchProgress:
        """Look how far a batch is."""
        found = await self._retrieve(batch)
        counts = found.request_counts
        refused = counts.errored + counts.expired + counts.canceled
        return BatchProgress(found.processing_status == "ended", counts.succeeded, refused)

    async def results(self, batch: SentBatch) -> AsyncIterator[tuple[str, Outcome]]:
        """Read what became of the requests of a batch that has ended."""
        if (await self._retrieve(batch)).results_url is None:
            raise BatchEndedError("its results are no longer kept")
        results = await self._send(lambda: self._batches.results(str(batch.id)))
        async for line in results:
            yield line.custom_id, _outcome(line.result)

    async def _retrieve(self, batch: SentBatch) -> Any:
        async def retrieve() -> Any:
            try:
                return await self._batches.retrieve(str(batch.id))
            except anthropic.NotFoundError as error:
                raise BatchEndedError(error.message) from None

        return await self._send(retrieve)

    async def _find(self, batch: SentBatch, known: frozenset[str]) -> str | None:
        listed = 0
        async for other in self._batches.list(limit=100):
            listed += 1
            created = other.created_at.timestamp()
            if created < batch.created - _CLOCKS_APART_S or listed > _LISTED:
                return None
            counts = other.request_counts
            size = sum(
                (counts.processing, counts.succeeded, counts.errored, counts.expired,
                 counts.canceled)
            )  # fmt: skip
            if size == len(batch.requests) and other.id not in known:
                return other.id
        return None


def _outcome(result: Any) -> Outcome:
    if result.type == "succeeded":
        message: dict[str, Any] = result.message.to_dict(mode="json")
        return message
    if result.type != "errored":
        return RetryLater(f"it is {result.type}")
    error = result.error.error
    detail = f"{error.type}: {error.message}"[:400]
    if error.type not in _FINAL_ERRORS:
        return RetryLater(detail)
    if error.type == "not_found_error":
        return EngineSetupError(f"{detail}; correct the engine's model")
    return RequestRefusedError(
        "prompt_too_long" if is_too_long(error.message) else "bad_request", detail
    )
