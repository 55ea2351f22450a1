"""A run without Ray: the real control, block runner and worker in a thread of this process."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import queue
import threading
from collections.abc import Coroutine, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

from raygen.dataset.records import WrittenBlock
from raygen.engines.base import Engine, EngineSpec
from raygen.engines.registry import start_engine
from raygen.planning.resources import Cluster
from raygen.runtime.block_runner import BlockRunner
from raygen.runtime.coordinator import Coordinator, Fatal
from raygen.runtime.tasks import GenerationJob, RowBlock
from raygen.runtime.worker import Worker
from raygen.runtime.worker_stats import WorkerStats

_Value = TypeVar("_Value")


class LocalRun:
    """One generation in progress, as `RayRun` is one."""

    def __init__(self, job: GenerationJob, tickets: int) -> None:
        self._tickets = tickets + 8
        self._fed = self._ended = 0
        self._arrived: queue.SimpleQueue[WrittenBlock] = queue.SimpleQueue()
        self._control = Coordinator()
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._run(job), self._loop)

    @property
    def done(self) -> bool:
        return self._running.done() and self._arrived.empty()

    @property
    def idle(self) -> bool:
        return self._ended == self._fed and self._arrived.empty()

    @property
    def capacity(self) -> int:
        return self._tickets - self._fed

    def feed(self, tasks: Sequence[RowBlock], *, first: bool = False) -> None:
        self._fed += len(tasks)
        self._ask(self._control.feed(tasks, first))

    def close(self) -> None:
        self._ask(self._control.close())

    def poll(self, timeout_s: float) -> list[WrittenBlock]:
        blocks = list[WrittenBlock]()
        with contextlib.suppress(queue.Empty):
            blocks.append(self._arrived.get(timeout=timeout_s))
            while True:
                blocks.append(self._arrived.get_nowait())
        return blocks

    def stats(self) -> tuple[list[WorkerStats], Fatal | None]:
        return ([], self._fatal) if self._running.done() else self._ask(self._control.read())

    def stop(self) -> None:
        self._ask(self._control.stop())

    def end(self) -> None:
        """Let go of the thread, which answers questions also after the last block."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _ask(self, work: Coroutine[Any, Any, _Value]) -> _Value:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result()

    async def _run(self, job: GenerationJob) -> None:
        async def start(spec: EngineSpec) -> Engine:
            return await start_engine(spec, ())

        worker = Worker(job.plan, start, job.concurrency, pauses=())
        runner = BlockRunner(job, worker, self._control)
        for ticket in range(self._tickets):
            payload = await runner.run(ticket)
            _, self._fatal = await self._control.read()
            if payload:
                block = pickle.loads(payload)  # noqa: S301 - what was pickled a moment ago
                if block is not None:
                    self._arrived.put(block)
                self._ended += 1
        await worker.close()


class LocalRuntime:
    """A cluster of nothing but this process."""

    def __init__(self) -> None:
        self._runs: list[LocalRun] = []

    @contextlib.contextmanager
    def cluster(
        self, address: str | None, cpus: int, logs: Path, trusted: Sequence[Path] = ()
    ) -> Iterator[Cluster]:
        try:
            yield Cluster(address="local", gpus=0)
        finally:
            for run in self._runs:
                run.end()

    def start_run(self, job: GenerationJob, tickets: int) -> LocalRun:
        run = LocalRun(job, tickets)
        self._runs.append(run)
        return run
