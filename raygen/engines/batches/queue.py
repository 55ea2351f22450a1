"""Gather the requests of many rows into batches, and answer each when its batch has ended.

Rows run at the same time, so the requests of one step of the graph arrive together; when none has
arrived for a while, what is there becomes a batch:

    rows      ask(a) ask(b) ask(c) ........ quiet ........................ ask(d) ask(e) ... quiet
    record                                  intent {a b c}, upload, id                       {d e}
    endpoint                                [a b c]  ──── hours ────► ended
    rows                                                             a b ✓   c expired ► asked again

What was sent is on record before it is sent. After a kill the rows run again and ask the same: a
request on record waits for its batch instead of being sent again. Of an intent without an id the
endpoint is asked whether it has such a batch. A batch on record is looked at only when one of its
requests is asked for. Knows nothing of HTTP or of what requests say.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
import uuid
from collections.abc import Coroutine, Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from raygen.dataset import BatchLog, BatchState, DatasetError, SentBatch
from raygen.engines.base import (
    EngineError,
    EngineSetupError,
    EngineUnavailableError,
    RequestRefusedError,
)
from raygen.engines.batches.service import (
    BatchEndedError,
    BatchProgress,
    BatchService,
    Outcome,
    RetryLater,
)

log = logging.getLogger(__name__)

TRIES = 4
"""How often a request is sent that gets no answer."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds: `quiet` without a new request before a batch is sent; the waits between looks."""

    quiet: float = 10.0
    first_look: float = 10.0
    longest_look: float = 120.0


USUAL_TIMING = Timing()


@dataclass(frozen=True, slots=True)
class BatchTarget:
    """Where the batches of a queue go."""

    engine: str
    address: str
    path: str
    model: str


class _RejectedError(Exception):
    """The endpoint took none of a batch."""

    def __init__(self, progress: BatchProgress) -> None:
        super().__init__(progress.problem)
        self.progress = progress


class BatchQueue:
    """The requests to one path of one endpoint. All methods run in one event loop."""

    def __init__(
        self,
        service: BatchService,
        record: BatchLog,
        target: BatchTarget,
        timing: Timing = USUAL_TIMING,
    ) -> None:
        self._service = service
        self._record = record
        self._target = target
        self._timing = timing
        self._unsent: dict[str, Mapping[str, Any]] = {}
        self._waiting: dict[str, asyncio.Future[Outcome]] = {}
        self._recorded: dict[str, SentBatch] = {}
        self._watched: dict[str, asyncio.Task[None]] = {}
        self._arrived = asyncio.Event()
        self._sender: asyncio.Task[None] | None = None
        self._most = service.most_requests

    async def start(self) -> None:
        """Read which requests were sent earlier. Raises DatasetError."""
        for batch in await asyncio.to_thread(self._record.read):
            if self._is_ours(batch):
                self._recorded.update(dict.fromkeys(batch.requests, batch))

    async def ask(self, request: str, body: Mapping[str, Any]) -> Mapping[str, Any]:
        """Return the reply to a request, by its id, when its batch has ended.

        Raises the error that its outcome is, RequestRefusedError where it got no answer in several
        batches, and what the service raises.
        """
        message = ""
        for _ in range(TRIES):
            outcome = await self._outcome(request, body)
            if isinstance(outcome, Exception):
                raise outcome
            if not isinstance(outcome, RetryLater):
                return outcome
            message = outcome.message
            if (waiting := self._waiting.get(request)) is not None and waiting.done():
                del self._waiting[request]
        where = f"engine {self._target.engine!r} at {self._target.address}"
        raise RequestRefusedError(
            "bad_response", f"{where} gave no answer in {TRIES} batches: {message}"
        )

    async def close(self) -> None:
        """Stop looking. What was sent goes on at the endpoint, and the next run asks for it."""
        tasks = [*self._watched.values(), *filter(None, [self._sender])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _outcome(self, request: str, body: Mapping[str, Any]) -> Outcome:
        waiting = self._waiting.get(request)
        if waiting is None:
            waiting = self._waiting[request] = asyncio.get_running_loop().create_future()
            if batch := self._recorded.get(request):
                self._watch(batch)
            else:
                self._send_later({request: body})
        return await asyncio.shield(waiting)

    def _send_later(self, requests: Mapping[str, Mapping[str, Any]]) -> None:
        self._unsent.update(requests)
        self._arrived.set()
        if self._sender is None or self._sender.done():
            self._sender = self._task(self._send_when_quiet())

    async def _send_when_quiet(self) -> None:
        while self._unsent:
            self._arrived.clear()
            if len(self._unsent) < self._most:
                try:
                    await asyncio.wait_for(self._arrived.wait(), self._timing.quiet)
                except TimeoutError:
                    pass
                else:
                    continue
            requests = self._next()
            try:
                await self._send(requests)
            except (EngineError, DatasetError) as error:
                self._fail(requests, error)

    def _next(self) -> dict[str, Mapping[str, Any]]:
        """Take out as many requests as a batch may have."""
        taken: dict[str, Mapping[str, Any]] = {}
        size = 0
        for request, body in self._unsent.items():
            size += len(json.dumps(body)) + len(request) + 100
            if taken and (len(taken) == self._most or size > self._service.most_bytes):
                break
            taken[request] = body
        for request in taken:
            del self._unsent[request]
        return taken

    async def _send(self, requests: Mapping[str, Mapping[str, Any]]) -> None:
        """Send a batch; each step is on record before the next, for whoever goes on from there."""
        target = self._target
        batch = SentBatch(
            uuid.uuid4().hex, target.engine, target.address, target.path, target.model,
            tuple(requests), time.time(),
        )  # fmt: skip
        batch = replace(batch, upload=await self._service.upload(requests))
        await self._write(batch)
        try:
            batch_id = await self._service.create(batch, requests)
        except (EngineSetupError, RequestRefusedError):
            await self._delete(batch)
            raise
        await self._created(batch, batch_id)

    async def _created(self, batch: SentBatch, batch_id: str) -> SentBatch:
        batch = replace(batch, id=batch_id, state="waiting")
        await self._write(batch)
        log.info("batch %s: %d requests sent", batch_id, len(batch.requests))
        self._watch(batch)
        return batch

    def _watch(self, batch: SentBatch) -> None:
        if batch.name not in self._watched:
            self._watched[batch.name] = self._task(self._await_end(batch))

    async def _await_end(self, batch: SentBatch) -> None:
        try:
            if batch.id is None:
                batch = await self._recover(batch)
            await self._settle(await self._poll(batch))
        except BatchEndedError as error:
            await self._send_again(batch, str(error))
        except _RejectedError as error:
            await self._rejected(batch, error.progress)
        except (EngineError, DatasetError) as error:
            self._fail(batch.requests, error)

    async def _recover(self, batch: SentBatch) -> SentBatch:
        """Find the batch of an intent, or create it of what was uploaded.

        Raises BatchEndedError where neither can be.
        """
        known = frozenset(sent.id for sent in self._recorded.values() if sent.id)
        batch_id = await self._service.find(batch, known)
        if batch_id is None and batch.upload is not None:
            batch_id = await self._service.create(batch, None)
        if batch_id is None:
            raise BatchEndedError("it was never created")
        return await self._created(batch, batch_id)

    async def _poll(self, batch: SentBatch) -> SentBatch:
        """Wait until the batch has ended; write down how far it is when that has changed."""
        wait = self._timing.first_look
        while True:
            progress = await self._service.look(batch)
            if progress.problem is not None:
                raise _RejectedError(progress)
            state: BatchState = "ended" if progress.ended else "waiting"
            seen = replace(batch, answered=progress.answered, refused=progress.refused, state=state)
            if seen != batch:
                batch = seen
                await self._write(batch)
            if progress.ended:
                return batch
            await asyncio.sleep(wait)
            wait = min(wait * 1.5, self._timing.longest_look)

    async def _settle(self, batch: SentBatch) -> None:
        """Answer the requests of a batch that has ended."""
        left = set(batch.requests)
        async for request, outcome in self._service.results(batch):
            if request in left:
                left.discard(request)
                self._resolve(request, outcome)
        for request in left:
            self._resolve(request, RetryLater(f"batch {batch.id} has no result for it"))

    async def _rejected(self, batch: SentBatch, progress: BatchProgress) -> None:
        """Send a batch again in smaller parts where it was too large; else end the run."""
        if progress.too_large and len(batch.requests) > 1:
            self._most = max(1, len(batch.requests) // 2)
            await self._send_again(batch, f"{progress.problem}: {self._most} at a time")
            return
        await self._delete(batch)
        where = f"engine {self._target.engine!r} at {self._target.address}"
        self._fail(
            batch.requests,
            EngineSetupError(f"{where} took none of a batch of requests: {progress.problem}"),
        )

    async def _send_again(self, batch: SentBatch, why: str) -> None:
        """Let the requests of a batch be sent again by those who wait for them."""
        log.warning("batch %s: %s; its requests are sent again", batch.id, why)
        await self._delete(batch)
        for request in batch.requests:
            self._resolve(request, RetryLater(why))

    def _resolve(self, request: str, outcome: Outcome) -> None:
        """Give a request's outcome to whoever waits for it, or keep it for who asks later."""
        if isinstance(outcome, RetryLater):
            self._recorded.pop(request, None)
        waiting = self._waiting.get(request)
        if waiting is None:
            if isinstance(outcome, RetryLater):
                return
            waiting = self._waiting[request] = asyncio.get_running_loop().create_future()
        if not waiting.done():
            waiting.set_result(outcome)

    def _fail(self, requests: Iterable[str], error: EngineError | DatasetError) -> None:
        if isinstance(error, DatasetError):
            error = EngineUnavailableError(f"the record of batches can't be kept: {error}")
        for request in requests:
            waiting = self._waiting.pop(request, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(error)

    async def _write(self, batch: SentBatch) -> None:
        await asyncio.to_thread(self._record.write, batch)
        self._recorded.update(dict.fromkeys(batch.requests, batch))

    async def _delete(self, batch: SentBatch) -> None:
        await asyncio.to_thread(self._record.delete, batch)
        self._watched.pop(batch.name, None)
        for request in batch.requests:
            self._recorded.pop(request, None)

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Hand an error that nobody foresaw to all who wait: they would wait for ever."""
        if task.cancelled() or (error := task.exception()) is None:
            return
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_exception(error)

    def _is_ours(self, batch: SentBatch) -> bool:
        target = self._target
        return (batch.address, batch.path, batch.model) == (
            target.address, target.path, target.model,
        )  # fmt: skip
