"""Dynamic batching: items that many tasks submit one at a time run together, on a thread.

Whatever waits when the thread is free makes the next batch; a batch that doesn't fit into memory is
split. Knows nothing of models.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from typing import Generic, TypeVar

import torch

from raygen.engines.base import RequestRefusedError

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its outcome


class Batcher(Generic[I, O]):
    """Calls `run` with up to `size` items at a time; `run` returns an outcome for each, in order.

    An outcome that is an exception is raised to the caller of its item. An exception of `run`
    itself is raised to every caller of the batch.
    """

    def __init__(
        self, run: Callable[[Sequence[I]], Sequence[O | Exception]], size: int, thread: Executor
    ) -> None:
        self._run = run
        self._size = size
        self._thread = thread
        self._waiting: deque[tuple[I, asyncio.Future[O]]] = deque()
        self._drain: asyncio.Task[None] | None = None

    async def __call__(self, item: I) -> O:
        """Return the outcome of one item, once its batch has run."""
        future: asyncio.Future[O] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, future))
        if self._drain is None or self._drain.done():
            self._drain = asyncio.create_task(self._work())
        return await future

    async def _work(self) -> None:
        # Whoever is ready to ask does so before the first batch is cut.
        await asyncio.sleep(0)
        loop = asyncio.get_running_loop()
        while batch := self._next():
            items = [item for item, _ in batch]
            try:
                outcomes = await loop.run_in_executor(self._thread, self._run, items)
            except Exception as error:  # noqa: BLE001 - it belongs to those who asked
                outcomes = [error] * len(batch)
            for (_, future), outcome in zip(batch, outcomes, strict=True):
                if future.done():
                    continue
                if isinstance(outcome, Exception):
                    future.set_exception(outcome)
                else:
                    future.set_result(outcome)

    def _next(self) -> list[tuple[I, asyncio.Future[O]]]:
        """Take the items of the next batch, skipping those whose caller was cancelled."""
        batch: list[tuple[I, asyncio.Future[O]]] = []
        while self._waiting and len(batch) < self._size:
            item, future = self._waiting.popleft()
            if not future.done():
                batch.append((item, future))
        return batch


def split_on_out_of_memory(
    run: Callable[[Sequence[I]], Sequence[O | Exception]],
) -> Callable[[Sequence[I]], Sequence[O | Exception]]:
    """Wrap `run` to halve a batch that is out of memory.

    An item that doesn't fit alone is refused (`prompt_too_long`).
    """

    def halved(items: Sequence[I]) -> Sequence[O | Exception]:
        try:
            return run(items)
        except torch.OutOfMemoryError as error:
            if len(items) == 1:
                return [RequestRefusedError("prompt_too_long", f"out of memory: {error}")]
        half = len(items) // 2
        return [*halved(items[:half]), *halved(items[half:])]

    return halved
