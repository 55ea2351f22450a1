"""Worker: holds the engines of one process and runs row programs over them.

A row that crashes its engine takes all rows in flight down with it, and nothing says which it was.
So the worker stops admitting rows (`_open`), waits until those in flight have failed or finished
(`_idle`), rebuilds the engines, and bisects the suspects until the guilty row runs alone:

    in flight                     a  b  c  D  e  f          D kills the engine: all six are suspects
    rebuild, run together         a  b  c  D  e  f          dies again
    rebuild, run the halves       a  b  c                   all end: they were innocent
                                           D  e  f          dies again
    rebuild, run the halves                D  e             dies again
    rebuild, run the halves                D                alone when it died: engine_crash
    rebuild, run what is left                 e ... f       end

A row whose result is there before the engine dies keeps it, and a recorded call isn't paid for
again. One guilty row among n costs about log2(n) rebuilds; admission opens again after the last.

An engine that refuses to start, or can't be reached, ends the work with `fatal` set, and the rows
that have not ended stay pending. Knows nothing of Ray or files.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from raygen.core import cancelled_by_library
from raygen.dataset import Recorded, RejectedRow, RowResult
from raygen.engines import (
    Engine,
    EngineDeadError,
    EngineError,
    EngineSetupError,
    EngineSpec,
    EngineUnavailableError,
    Learner,
)
from raygen.planning import Plan
from raygen.recipe import SOURCE
from raygen.runtime.row_program import RowProgram
from raygen.runtime.worker_stats import WorkerStats

Start = Callable[[EngineSpec], Awaitable[Engine]]

SourceRow = tuple[str, Mapping[str, Any]]
"""A row's key and its columns."""

CRASH = "engine_crash"
INVALID = "invalid_row"

_RESTART_PAUSES = (5.0, 20.0)
"""Seconds before each further try to start an engine that has died: the process that is gone may
hold a device's memory for a while."""

_Suspect = tuple[SourceRow, asyncio.Future[RowResult | None]]

log = logging.getLogger(__name__)


class _Stopped(Exception):  # noqa: N818 - no error: the run was asked to stop
    """The run was stopped while a dead engine was waited for."""


class Worker:
    """Runs blocks of source rows, many at once, over one set of engines."""

    def __init__(
        self,
        plan: Plan,
        start: Start,
        concurrency: int,
        pauses: Sequence[float] = _RESTART_PAUSES,
    ) -> None:
        """`pauses` are the seconds before each further try to start an engine that has died."""
        self.plan = plan
        self._pauses = pauses
        self.stats = WorkerStats()
        self.fatal: EngineError | None = None
        self.stopped = False
        self._start = start
        self._slots = asyncio.Semaphore(concurrency)
        self._engines: dict[str, Engine] = {}
        self._program = RowProgram(plan, self._engines)
        self._recorded: dict[str, Recorded] = {}
        self._suspects: list[_Suspect] = []
        self._recovery: asyncio.Task[None] | None = None
        self._repair = asyncio.Lock()
        self._open = asyncio.Event()
        self._idle = asyncio.Event()
        self._open.set()
        self._idle.set()

    async def run(
        self, rows: Sequence[SourceRow], recorded: Mapping[str, Recorded] | None = None
    ) -> list[RowResult]:
        """Run rows and return the results of those that ended; a stop or a fatal error leaves some.

        `recorded` are the rows' earlier calls by key. Raises no engine error: see `fatal`.
        """
        self._recorded.update(recorded or {})
        try:
            await self._ensure_engines()
            results = await asyncio.gather(*(self._row(row) for row in rows))
        except EngineError as error:
            self._end(error)
            return []
        finally:
            for key, _ in rows:
                self._recorded.pop(key, None)
        return [result for result in results if result is not None]

    async def close(self) -> None:
        """Free the engines."""
        while self._engines:
            _, engine = self._engines.popitem()
            await engine.close()

    async def _row(self, row: SourceRow) -> RowResult | None:
        async with self._slots:
            await self._open.wait()
            if self.stopped or self.fatal:
                return None
            result: RowResult | None
            try:
                result = await self._attempt(row)
            except EngineDeadError:
                result = await self._after_death(row)
            except (EngineUnavailableError, EngineSetupError) as error:
                self._end(error)
                return None
            if result is not None:
                self.stats.add(result)
            self.stats.notes = tuple(
                note
                for engine in self._engines.values()
                if isinstance(engine, Learner)
                for note in engine.notes
            )
            return result

    async def _attempt(self, row: SourceRow) -> RowResult:
        self.stats.running += 1
        self._idle.clear()
        try:
            return await self._program.run(*row, self._recorded.get(row[0]))
        finally:
            self.stats.running -= 1
            if self.stats.running == 0:
                self._idle.set()

    async def _after_death(self, row: SourceRow) -> RowResult | None:
        """Wait for the row's result: the engine is rebuilt, and the guilty row among them found."""
        verdict: asyncio.Future[RowResult | None] = asyncio.get_running_loop().create_future()
        self._suspects.append((row, verdict))
        if len(self._suspects) == 1:
            self._recovery = asyncio.create_task(self._recover())
        return await verdict

    async def _recover(self) -> None:
        """Admit no new row, wait for those in flight to end, rebuild, and bisect the suspects."""
        self._open.clear()
        await self._idle.wait()
        suspects, self._suspects = self._suspects, []
        try:
            async with self._repair:
                await self._rebuild()
                await self._bisect(suspects)
        except _Stopped:
            pass
        except EngineError as error:
            self._end(error)
        except Exception as error:  # noqa: BLE001 - `run` raises it
            for _, verdict in suspects:
                if not verdict.done():
                    verdict.set_exception(error)
        finally:
            for suspect in suspects:
                _settle(suspect, None)
            self._open.set()

    async def _bisect(self, suspects: Sequence[_Suspect]) -> None:
        """Run the suspects together; where the engine dies again, run each half by itself.

        A row that is alone when the engine dies is guilty.
        """
        tries = (self._attempt(row) for row, _ in suspects)
        outcomes = await asyncio.gather(*tries, return_exceptions=True)
        died: list[_Suspect] = []
        for suspect, outcome in zip(suspects, outcomes, strict=True):
            if isinstance(outcome, RowResult):
                _settle(suspect, outcome)
            elif isinstance(outcome, EngineDeadError):
                died.append(suspect)
            else:
                raise outcome
        if not died:
            return
        await self._rebuild()
        if len(suspects) == 1:
            _settle(suspects[0], crashed_result(suspects[0][0]))
            return
        middle = (len(died) + 1) // 2
        for half in (died[:middle], died[middle:]):
            if half:
                await self._bisect(half)

    async def _rebuild(self) -> None:
        """Start all engines anew. They ran before, so a start that fails is tried again."""
        self.stats.restarts += 1
        self.stats.phase = "restarting a dead engine"
        await self.close()
        for pause in self._pauses:
            try:
                return await self._ensure_engines_locked()
            except EngineError as error:
                log.warning("an engine that died doesn't start again yet: %s", error)
            if self.stopped:
                raise _Stopped
            await asyncio.sleep(pause)
        try:
            await self._ensure_engines_locked()
        except EngineError as error:
            raise EngineUnavailableError(
                f"the engine died, and {len(self._pauses) + 1} tries to start it again failed: "
                f"{error}"
            ) from error

    async def _ensure_engines(self) -> None:
        if self._engines or self.fatal:
            return
        async with self._repair:
            if not self._engines and not self.fatal:
                await self._ensure_engines_locked()

    async def _ensure_engines_locked(self) -> None:
        """Start all engines, and publish them together: a row may ask each of them."""
        started: dict[str, Engine] = {}
        try:
            for name, spec in self.plan.engines.items():
                started[name] = await self._start_one(spec)
        except BaseException:
            for engine in started.values():
                await engine.close()
            raise
        self._engines.update(started)
        self.stats.phase = "running"

    async def _start_one(self, spec: EngineSpec) -> Engine:
        try:
            return await self._start(spec)
        except asyncio.CancelledError as error:
            if not cancelled_by_library():
                raise
            raise EngineSetupError(
                f"engine {spec.name!r}: its start was broken off by the library it runs on"
            ) from error

    def _end(self, error: EngineError) -> None:
        if self.fatal is None:
            self.fatal = error
        self.stopped = True


def invalid_result(key: str, problem: str) -> RowResult:
    """Make the result of a source row that doesn't fit its task: dropped, for that reason."""
    return RowResult(
        key=key,
        status="dropped",
        examples=(),
        rejects=(RejectedRow(SOURCE, INVALID, problem),),
        calls=(),
        error=None,
        seconds=0.0,
        node_counts={},
    )


def _settle(suspect: _Suspect, result: RowResult | None) -> None:
    """Hand a suspect's row its result, unless whoever waits for it was cancelled."""
    if not suspect[1].done():
        suspect[1].set_result(result)


def crashed_result(row: SourceRow) -> RowResult:
    """Make the failed result of a row that crashes its engine or its process each time."""
    detail = "the engine died each time this row ran, at last with no other row beside it"
    return RowResult(
        key=row[0],
        status="failed",
        examples=(),
        rejects=(RejectedRow("engine", CRASH, detail),),
        calls=(),
        error=f"{CRASH}: {detail}",
        seconds=0.0,
        node_counts={},
    )
