"""BlockRunner: what an actor does for one ticket, from the rows to the block that is written.

It takes a task from the coordinator, reads its rows and their recorded calls, has the worker run
them, and writes what came out. A row that kills its process is found by running it alone. Knows
nothing of Ray.
"""

from __future__ import annotations

import asyncio
import logging
import os
import pickle
from collections.abc import Awaitable, Mapping
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
from raygen.runtime.worker import SourceRow, Worker, crashed_result
from raygen.sources import KeyedSource, open_keyed

_ATTEMPTS = 2
"""How often a block may take its process down before its rows are run alone."""


class BlockQueue(Protocol):
    """Who hands out tasks, as a process that runs them sees it."""

    def take(self, ticket: int, wait: bool) -> Awaitable[tuple[RowBlock | None, int]]:
        """The task that a ticket stands for, and how often it was begun, this time included."""
        ...

    def give_back(self, ticket: int) -> Awaitable[None]:
        """The ticket's task has no answer: another ticket is to run it."""
        ...

    def begin(self, what: str) -> Awaitable[int]:
        """How often `what` was begun, this time included."""
        ...

    def end(self, what: str) -> Awaitable[None]:
        """`what` has come to its end."""
        ...

    def fail(self, fatal: Fatal) -> Awaitable[None]:
        """Stop everything: this run can't go on."""
        ...


class BlockRunner:
    """Runs the blocks of one process, many at once, over its worker."""

    def __init__(self, job: GenerationJob, worker: Worker, coordinator: BlockQueue) -> None:
        self._job = job
        self._worker = worker
        self._coordinator = coordinator
        self._one_at_a_time = asyncio.Lock()
        self._taking = asyncio.Lock()
        self._source: KeyedSource | None = None
        self._held = 0
        self._room = asyncio.Condition()

    async def run(self, ticket: int) -> bytes:
        """Run the block that a ticket stands for: a pickled Block, or None where no row ended.

        No bytes at all where there was no task for it. Nothing is ever raised: whoever calls would
        end the run, or call again for ever.
        """
        try:
            task, attempts = await self._take_when_there_is_room(ticket)
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

    async def _take_when_there_is_room(self, ticket: int) -> tuple[RowBlock | None, int]:
        """Take a task that is there, once this process holds few enough rows for another one.

        Of all processes the first that is up would else take a source that others could share.
        """
        async with self._room:
            await self._room.wait_for(lambda: self._held < self._job.rows_held)
            task, attempts = await self._coordinator.take(ticket, wait=False)
            self._held += len(task.ordinals) if task else 0
        return task, attempts

    async def _release(self, rows: int) -> None:
        async with self._room:
            self._held -= rows
            self._room.notify_all()

    async def _block(self, task: RowBlock, attempts: int) -> WrittenBlock | None:
        source = await self._keyed_source()
        rows = await asyncio.to_thread(source.read, task.ordinals)
        keys = [key for key, _ in rows]
        recorded = await asyncio.to_thread(read_recorded_calls, self._job.folder, task.files, keys)
        if attempts <= _ATTEMPTS:
            results = await self._worker.run(rows, recorded)
        else:
            results = [result for row in rows for result in await self._alone(row, recorded)]
        if task.again:
            results = [replace(result, retryable=False) for result in results]
        if self._worker.fatal:
            error = self._worker.fatal
            await self._coordinator.fail(Fatal(str(error), isinstance(error, EngineSetupError)))
        if not results:
            return None
        plan = self._job.plan
        return await asyncio.to_thread(
            write_block, self._job.folder, results, plan.hash, plan.columns
        )

    async def _keyed_source(self) -> KeyedSource:
        """Open the source's keyed copy, once it is seen that this machine has the folder."""
        if self._source is None:
            with storage_errors("look for the run's probe", self._job.folder.join(self._job.probe)):
                there = await asyncio.to_thread(self._job.folder.exists, self._job.probe)
            if not there:
                raise DatasetError(
                    f"a worker on {os.uname().nodename} doesn't see the output folder "
                    f"{self._job.folder.join()}; use a folder that all nodes share, or s3://, gs://"
                )
            self._source = open_keyed(self._job.folder, self._job.source)
        return self._source

    async def _alone(self, row: SourceRow, recorded: Mapping[str, Recorded]) -> list[RowResult]:
        """Run a row of a block that was there when the process died, with no other such row.

        A row that is there alone each time it dies is guilty.
        """
        async with self._one_at_a_time:
            what = f"row {row[0]}"
            if await self._coordinator.begin(what) > _ATTEMPTS:
                return [crashed_result(row)]
            results = await self._worker.run([row], recorded)
            await self._coordinator.end(what)
            return results
