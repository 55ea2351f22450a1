"""Run one ticket in an actor, from its source rows to the block that is written.

The runner takes a task from the coordinator, reads its rows and their recorded calls, has the
worker run them, and writes what came out. A row that kills its process is found by running it
alone. Knows nothing of Ray.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import replace
from typing import Protocol

from raygen.dataset import (
    DatasetError,
    Recorded,
    RowResult,
    WrittenBlock,
    read_recorded_calls,
    storage_errors,
    write_block,
)
from raygen.engines import EngineSetupError
from raygen.runtime.coordinator import Fatal
from raygen.runtime.tasks import GenerationJob, RowBlock
from raygen.runtime.worker import SourceRow, Worker, crashed_result, invalid_result
from raygen.sources import KeyedSource, open_keyed

_ATTEMPTS = 2
"""How often a block may take its process down before its rows are run alone."""


class BlockQueue(Protocol):
    """The coordinator, as a process that runs tasks uses it."""

    def take(self, ticket: int, wait: bool) -> Awaitable[tuple[RowBlock | None, int]]:
        """Take the task of a ticket; return it, and how often it was begun, this time included."""
        ...

    def give_back(self, ticket: int) -> Awaitable[None]:
        """Hand a ticket's task back without an answer: another ticket is to run it."""
        ...

    def begin(self, what: str) -> Awaitable[int]:
        """Count how often `what` was begun, this time included."""
        ...

    def end(self, what: str) -> Awaitable[None]:
        """Forget the count of `what`, which has ended."""
        ...

    def fail(self, fatal: Fatal) -> Awaitable[None]:
        """Stop the run, which can't go on."""
        ...


class BlockRunner:
    """Runs the blocks of one process, many at once, over its worker."""

    def __init__(self, job: GenerationJob, worker: Worker, coordinator: BlockQueue) -> None:
        self._job = job
        self._worker = worker
        self._coordinator = coordinator
        self._single_row = asyncio.Lock()
        self._taking = asyncio.Lock()
        self._source: KeyedSource | None = None
        self._held = 0
        self._capacity = asyncio.Condition()

    async def run(self, ticket: int) -> bytes:
        """Run the block of a ticket; return it pickled, or a pickled None where no row ended.

        Returns no bytes where there was no task for the ticket. Raises nothing: Ray would end the
        run, or call again for ever.
        """
        try:
            task, attempts = await self._take_below_capacity(ticket)
            if task is None:
                # Only one call at a time waits: a coordinator holds a limited number of calls.
                async with self._taking:
                    task, attempts = await self._coordinator.take(ticket, wait=True)
                    self._held += len(task.ordinals) if task else 0
            if task is None:
                return b""
            try:
                return pickle.dumps(await self._block(task, attempts))
            finally:
                await self._release(len(task.ordinals))
        except asyncio.CancelledError:
            await self._coordinator.give_back(ticket)
        except DatasetError as error:
            await self._coordinator.fail(Fatal(str(error)))
        except Exception as error:  # the coordinator carries it to the driver
            message = f"internal error in a worker: {type(error).__name__}: {error}"
            logging.getLogger(__name__).exception(message)
            await self._coordinator.fail(Fatal(message))
        return b""

    async def _take_below_capacity(self, ticket: int) -> tuple[RowBlock | None, int]:
        """Take a task that is queued, once this process holds few enough rows for another one.

        Otherwise the first process that is up would take rows that others could share.
        """
        async with self._capacity:
            await self._capacity.wait_for(lambda: self._held < self._job.rows_held)
            task, attempts = await self._coordinator.take(ticket, wait=False)
            self._held += len(task.ordinals) if task else 0
        return task, attempts

    async def _release(self, rows: int) -> None:
        async with self._capacity:
            self._held -= rows
            self._capacity.notify_all()

    async def _block(self, task: RowBlock, attempts: int) -> WrittenBlock | None:
        source = await self._keyed_source()
        fitting = [ordinal for ordinal in task.ordinals if ordinal not in source.invalid]
        rows = await asyncio.to_thread(source.read, fitting)
        keys = [key for key, _ in rows]
        datasets = (self._job.folder, *self._job.others)
        recorded = await asyncio.to_thread(read_recorded_calls, datasets, task.files, keys)
        if not rows:
            results = []
        elif attempts <= _ATTEMPTS:
            results = await self._worker.run(rows, recorded)
        else:
            results = [result for row in rows for result in await self._alone(row, recorded)]
        if task.retry:
            results = [replace(result, retryable=False) for result in results]
        results += await self._dropped(source, task.ordinals)
        if self._worker.fatal:
            error = self._worker.fatal
            await self._coordinator.fail(Fatal(str(error), isinstance(error, EngineSetupError)))
        if not results:
            return None
        plan = self._job.plan
        return await asyncio.to_thread(
            write_block, self._job.folder, results, plan.hash, plan.columns
        )

    async def _dropped(self, source: KeyedSource, ordinals: Sequence[int]) -> list[RowResult]:
        """Drop the rows that don't fit their task."""
        invalid = [ordinal for ordinal in ordinals if ordinal in source.invalid]
        keyed = await asyncio.to_thread(source.read, invalid)
        results = [
            invalid_result(key, source.invalid[ordinal])
            for ordinal, (key, _) in zip(invalid, keyed, strict=True)
        ]
        for result in results:
            self._worker.stats.add(result)
        return results

    async def _keyed_source(self) -> KeyedSource:
        """Open the source's keyed copy, after checking that this machine reaches the folder."""
        if self._source is None:
            with storage_errors("look for the run's probe", self._job.folder.join(self._job.probe)):
                is_there = await asyncio.to_thread(self._job.folder.exists, self._job.probe)
            if not is_there:
                raise DatasetError(
                    f"a worker on {os.uname().nodename} doesn't see the output folder "
                    f"{self._job.folder.join()}; use a folder that all nodes share, or s3://, gs://"
                )
            self._source = open_keyed(self._job.folder, self._job.source)
        return self._source

    async def _alone(self, row: SourceRow, recorded: Mapping[str, Recorded]) -> list[RowResult]:
        """Run a row of a block whose process died, with no other such row at the same time.

        A row that is alone each time the process dies is guilty.
        """
        async with self._single_row:
            what = f"row {row[0]}"
            if await self._coordinator.begin(what) > _ATTEMPTS:
                return [crashed_result(row)]
            results = await self._worker.run([row], recorded)
            await self._coordinator.end(what)
            return results
