"""The batch interface that OpenAI has, and others after it, as a `BatchService`.

Requests go up as a file, a batch is created of it, and its answers are read from two files: of what
was answered, and of what was not.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from yarl import URL

from raygen.dataset import SentBatch
from raygen.engines.base import EngineSetupError, EngineUnavailableError
from raygen.engines.batches import BatchEndedError, BatchProgress, Outcome, RetryLater
from raygen.engines.openai.endpoint import Endpoint
from raygen.engines.openai.refusals import RefusalError, RetryableFailure, read_refusal

MAX_REPLY_BYTES = 2**24
MAX_RESULTS_BYTES = 2**30
_PAGES = 20
_OVER = frozenset({"completed", "expired", "cancelled"})
_TOO_LARGE = frozenset({"token_limit_exceeded", "too_many_tasks", "empty_or_too_large_file"})


class EndpointBatches:
    """The batches of an endpoint's requests to `path` (`/chat/completions` or `/completions`)."""

    most_requests = 10_000
    most_bytes = 2**27

    def __init__(self, endpoint: Endpoint, path: str) -> None:
        self._endpoint = endpoint
        self._path = f"/v1{path}"

    async def upload(self, requests: Mapping[str, Mapping[str, Any]]) -> str | None:
        """Upload a file of the requests; return its id."""
        lines = (
            {"custom_id": name, "method": "POST", "url": self._path, "body": body}
            for name, body in requests.items()
        )
        content = "".join(json.dumps(line) + "\n" for line in lines).encode()
        body, kind = _form(content)
        with _no_batches():
            sent = await self._endpoint.send(
                self._endpoint.url("files"), body, _object, MAX_REPLY_BYTES, kind
            )
        return str(sent["id"])

    async def create(
        self, batch: SentBatch, requests: Mapping[str, Mapping[str, Any]] | None
    ) -> str:
        """Create a batch of the uploaded file, unless an attempt that broke off has done so."""
        body = json.dumps(
            {
                "input_file_id": batch.upload,
                "endpoint": self._path,
                "completion_window": "24h",
                "metadata": {"raygen": batch.name},
            }
        ).encode()
        attempts = 0

        async def create() -> str | RetryableFailure:
            nonlocal attempts
            attempts += 1
            if attempts > 1:
                found = await self._find(batch)
                if found is not None:
                    return found
            url = self._endpoint.url("batches")
            created = await self._endpoint.once(url, body, _object, MAX_REPLY_BYTES)
            return created if isinstance(created, RetryableFailure) else str(created["id"])

        with _no_batches():
            return await self._endpoint.retrying.run(create, counts_as_work=False)

    async def find(self, batch: SentBatch, known: frozenset[str]) -> str | None:
        """Find the batch of the uploaded file."""
        with _no_batches():
            return await self._endpoint.retrying.run(
                lambda: self._find(batch), counts_as_work=False
            )

    async def _find(self, batch: SentBatch) -> str | RetryableFailure | None:
        url = self._endpoint.url("batches").update_query(limit="100")
        for _ in range(_PAGES):
            page = await self._endpoint.once(url, None, _object, MAX_REPLY_BYTES)
            if isinstance(page, RetryableFailure):
                return page
            entries = page.get("data") or []
            for entry in entries:
                if batch.upload is not None and entry.get("input_file_id") == batch.upload:
                    return str(entry["id"])
            if not page.get("has_more") or not entries:
                return None
            url = url.update_query(after=str(entries[-1]["id"]))
        return None

    async def look(self, batch: SentBatch) -> BatchProgress:
        """Look how far a batch is."""
        found = await self._retrieve(batch)
        counts = found.get("request_counts") or {}
        answered, refused = int(counts.get("completed") or 0), int(counts.get("failed") or 0)
        status = str(found.get("status"))
        if status != "failed":
            return BatchProgress(status in _OVER, answered, refused)
        errors = (found.get("errors") or {}).get("data") or [{}]
        code, message = str(errors[0].get("code")), str(errors[0].get("message"))
        said = self._endpoint.secrets.hide(message)[:400]
        return BatchProgress(True, problem=said, too_large=code in _TOO_LARGE)

    async def results(self, batch: SentBatch) -> AsyncIterator[tuple[str, Outcome]]:
        """Read what became of the requests of a batch that has ended."""
        found = await self._retrieve(batch)
        for name in ("output_file_id", "error_file_id"):
            if (file := found.get(name)) is None:
                continue
            url = self._endpoint.url(f"files/{file}/content")
            for line in (await self._fetch(url, bytes, MAX_RESULTS_BYTES)).splitlines():
                if line.strip():
                    entry = json.loads(line)
                    yield str(entry["custom_id"]), self._outcome(entry)

    def _outcome(self, entry: Mapping[str, Any]) -> Outcome:
        response, error = entry.get("response"), entry.get("error")
        if not response:
            message = (error or {}).get("message") or "it has no answer"
            return RetryLater(self._endpoint.secrets.hide(str(message))[:400])
        status, body = int(response.get("status_code") or 200), response.get("body")
        if status == 200 and isinstance(body, Mapping):
            return body
        hide = self._endpoint.secrets.hide
        try:
            refusal = read_refusal(status, json.dumps(body), None, self._endpoint.where, hide)
        except EngineUnavailableError as out_of_credit:
            return out_of_credit
        return RetryLater(refusal.message) if isinstance(refusal, RetryableFailure) else refusal

    async def _retrieve(self, batch: SentBatch) -> Mapping[str, Any]:
        return await self._get(self._endpoint.url(f"batches/{batch.id}"))

    async def _get(self, url: URL) -> Mapping[str, Any]:
        reply: Mapping[str, Any] = await self._fetch(url, _object, MAX_REPLY_BYTES)
        return reply

    async def _fetch(self, url: URL, read: Any, most: int) -> Any:
        try:
            return await self._endpoint.fetch(url, read, most)
        except RefusalError as refusal:
            if refusal.status in (404, 410):
                raise BatchEndedError(str(refusal)) from None
            raise EngineSetupError(f"{refusal}; see {url.path} at the provider") from None


@contextmanager
def _no_batches() -> Iterator[None]:
    """Say of a refusal that it is one of batches."""
    try:
        yield
    except RefusalError as refusal:
        raise EngineSetupError(
            f"{refusal} to a batch of requests; without batches: `mode: live` in the engine's args"
        ) from None


def _object(raw: bytes) -> Mapping[str, Any]:
    reply = json.loads(raw)
    if not isinstance(reply, Mapping):
        raise ValueError("it is no JSON object")
    return reply


def _form(content: bytes) -> tuple[bytes, str]:
    """Return the body and the type of a form with a file of requests."""
    edge = f"raygen-{uuid.uuid4().hex}"
    head = (
        f'--{edge}\r\nContent-Disposition: form-data; name="purpose"\r\n\r\nbatch\r\n'
        f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="requests.jsonl"\r\n'
        "Content-Type: application/jsonl\r\n\r\n"
    )
    return (
        head.encode() + content + f"\r\n--{edge}--\r\n".encode(),
        f"multipart/form-data; boundary={edge}",
    )
