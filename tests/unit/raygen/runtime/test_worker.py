"""Worker: admission, stop, and what it does when an engine dies."""

import asyncio
from typing import Any

import pytest

from raygen.engines.base import Completion, Engine, EngineSetupError, EngineSpec, Request
from raygen.engines.fake import FakeEngine
from raygen.runtime.worker import CRASH, Worker
from tests.support.plans import fake_spec, node, plan

ASK = {"prompt": "{{ question }}", "into": "text"}
Rows = list[tuple[str, dict[str, Any]]]


def rows(count: int, poison: tuple[int, ...] = ()) -> Rows:
    return [
        (f"k{i}", {"question": f"{'poison' if i in poison else 'fine'} {i}"}) for i in range(count)
    ]


class Starts:
    """Starts fake engines and remembers how many."""

    def __init__(self) -> None:
        self.engines: list[FakeEngine] = []

    async def __call__(self, spec: EngineSpec) -> Engine:
        self.engines.append(FakeEngine(spec))
        return self.engines[-1]


def worker(*answers: Any, concurrency: int = 8, latency: float = 0.0) -> tuple[Worker, Starts]:
    starts = Starts()
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec(*answers, latency=latency))
    return Worker(of, starts, concurrency), starts


POISON = {"match": "poison", "reply": {"error": "dead"}}
FINE = {"match": "fine", "reply": "yes"}


async def test_every_row_gets_its_result_in_order() -> None:
    work, starts = worker(FINE)
    results = await work.run(rows(20))
    assert [r.key for r in results] == [f"k{i}" for i in range(20)]
    assert {r.status for r in results} == {"kept"}
    assert len(starts.engines) == 1
    assert work.stats.statuses["kept"] == 20
    assert work.stats.nodes["ask"] == [20, 20, 0, 20]


async def test_no_more_rows_run_at_once_than_admitted() -> None:
    work, _ = worker(FINE, concurrency=3, latency=0.01)
    most = 0

    async def watch() -> None:
        nonlocal most
        while True:
            most = max(most, work.stats.running)
            await asyncio.sleep(0.001)

    watcher = asyncio.create_task(watch())
    await asyncio.gather(work.run(rows(10)), work.run(rows(10)))
    watcher.cancel()
    assert most == 3


@pytest.mark.parametrize("poison", [(0,), (7,), (19,), (3, 4), (0, 10, 19), tuple(range(20))])
async def test_poison_rows_are_found_and_the_others_kept(poison: tuple[int, ...]) -> None:
    work, starts = worker(POISON, FINE)
    results = await work.run(rows(20, poison))
    statuses = {r.key: r.status for r in results}
    assert statuses == {f"k{i}": "failed" if i in poison else "kept" for i in range(20)}
    assert all(r.rejects[0].reason == CRASH for r in results if r.status == "failed")
    assert len(starts.engines) == work.stats.restarts + 1


async def test_an_engine_that_dies_once_costs_no_row() -> None:
    class DiesOnce(Starts):
        """Its first engine is dead from the start."""

        async def __call__(self, spec: EngineSpec) -> Engine:
            engine = await super().__call__(spec)
            if len(self.engines) == 1:
                self.engines[0]._dead = True
            return engine

    starts = DiesOnce()
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec(FINE))
    work = Worker(of, starts, 8)
    results = await work.run(rows(12))
    assert [r.status for r in results] == ["kept"] * 12
    assert work.stats.restarts == 1


async def test_after_a_stop_the_rest_is_left_pending() -> None:
    work, _ = worker(FINE, concurrency=2, latency=0.02)
    running = asyncio.create_task(work.run(rows(50)))
    await asyncio.sleep(0.03)
    work.stopped = True
    results = await running
    assert 0 < len(results) < 50
    assert work.fatal is None


async def test_an_engine_that_is_away_ends_the_run_without_failing_rows() -> None:
    work, _ = worker({"match": "k?", "reply": {"error": "unavailable"}})
    assert await work.run(rows(5)) == []
    assert "scripted to be away" in str(work.fatal)


async def test_an_engine_that_cant_start_ends_the_run() -> None:
    async def refuse(spec: EngineSpec) -> Engine:
        raise EngineSetupError("no such model")

    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec(FINE))
    work = Worker(of, refuse, 4)
    assert await work.run(rows(3)) == []
    assert str(work.fatal) == "no such model"
    assert await work.run(rows(3)) == []


class SlowSecond(Starts):
    """Starts the second engine only when it is allowed to."""

    def __init__(self, last: str) -> None:
        super().__init__()
        self.last = last
        self.reached = asyncio.Event()
        self.allowed = asyncio.Event()

    async def __call__(self, spec: EngineSpec) -> Engine:
        if spec.name == self.last:
            self.reached.set()
            await self.allowed.wait()
        return await super().__call__(spec)


def two_engines(starts: Starts) -> Worker:
    """A worker whose rows ask an editor and then a teacher."""
    nodes = [
        node("edit", "generate", engine="editor", **ASK),
        node("judge", "generate", "edit", engine="teacher", **ASK),
    ]
    specs = [fake_spec(FINE, name="editor"), fake_spec(FINE, name="teacher")]
    return Worker(plan(nodes, ("judge",), specs), starts, 8)


async def test_blocks_that_arrive_while_the_second_engine_starts_wait_for_it() -> None:
    starts = SlowSecond("teacher")
    work = two_engines(starts)
    first = asyncio.create_task(work.run(rows(2)))
    await starts.reached.wait()
    second = asyncio.create_task(work.run(rows(4)[2:]))
    for _ in range(20):
        await asyncio.sleep(0)
    starts.allowed.set()
    results = [*await first, *await second]
    assert [(result.status, result.error) for result in results] == [("kept", None)] * 4
    assert len(starts.engines) == 2


async def test_engines_are_freed_when_a_later_one_cannot_start() -> None:
    class Closes(FakeEngine):
        """Remembers that it was closed."""

        closed = False

        async def close(self) -> None:
            self.closed = True

    class FirstOnly(Starts):
        """Starts one engine and refuses the next."""

        async def __call__(self, spec: EngineSpec) -> Engine:
            if self.engines:
                raise EngineSetupError("no such model")
            self.engines.append(Closes(spec))
            return self.engines[-1]

    starts = FirstOnly()
    work = two_engines(starts)
    assert await work.run(rows(2)) == []
    assert str(work.fatal) == "no such model"
    assert [engine.closed for engine in starts.engines if isinstance(engine, Closes)] == [True]


class FailsToStart(Starts):
    """Starts that fail, by their number from 0; the first engine is dead when it is asked."""

    def __init__(self, *failing: int) -> None:
        super().__init__()
        self.failing = failing
        self.tries = 0

    async def __call__(self, spec: EngineSpec) -> Engine:
        number, self.tries = self.tries, self.tries + 1
        if number in self.failing:
            raise EngineSetupError("no memory left on the device")
        engine = await super().__call__(spec)
        if number == 0:
            self.engines[0]._dead = True
        return engine


def asking(starts: Starts) -> Worker:
    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec(FINE))
    return Worker(of, starts, 8, pauses=(0.0, 0.0))


async def test_a_rebuilt_engine_is_started_again_when_its_memory_is_not_free_yet() -> None:
    starts = FailsToStart(1, 2)
    work = asking(starts)
    results = await work.run(rows(5))
    assert [result.status for result in results] == ["kept"] * 5
    assert (starts.tries, work.fatal) == (4, None)


async def test_an_engine_that_never_comes_back_ends_the_run_and_says_so() -> None:
    starts = FailsToStart(1, 2, 3)
    work = asking(starts)
    assert await work.run(rows(5)) == []
    assert starts.tries == 4
    assert str(work.fatal) == (
        "the engine died, and 3 tries to start it again failed: no memory left on the device"
    )
    assert not isinstance(work.fatal, EngineSetupError), "the recipe worked, so it is not at fault"


async def test_a_stop_ends_the_tries_to_start_an_engine_again() -> None:
    starts = FailsToStart(1, 2, 3)
    work = asking(starts)

    async def refuses(spec: EngineSpec) -> Engine:
        work.stopped = starts.tries == 1
        return await starts(spec)

    work._start = refuses
    assert await work.run(rows(5)) == []
    assert (starts.tries, work.fatal) == (2, None)


async def test_a_block_that_is_cancelled_while_an_engine_is_rebuilt_costs_no_other_row() -> None:
    class SlowRestart(Starts):
        """Its first engine is dead; the second starts when it may."""

        def __init__(self) -> None:
            super().__init__()
            self.reached = asyncio.Event()
            self.allowed = asyncio.Event()

        async def __call__(self, spec: EngineSpec) -> Engine:
            engine = await super().__call__(spec)
            if len(self.engines) == 1:
                self.engines[0]._dead = True
            else:
                self.reached.set()
                await self.allowed.wait()
            return engine

    starts = SlowRestart()
    work = asking(starts)
    cancelled = asyncio.create_task(work.run(rows(2)))
    other = asyncio.create_task(work.run(rows(5)[2:]))
    await starts.reached.wait()
    cancelled.cancel()
    await asyncio.wait([cancelled])
    starts.allowed.set()
    assert [result.status for result in await other] == ["kept"] * 3
    assert cancelled.cancelled()
    assert work.fatal is None


class Cancels(FakeEngine):
    """Its library cancels a request by itself, as a connection that is torn down does."""

    async def generate(self, request: Request) -> list[Completion]:
        if "poison" in str(request.prompt):
            raise asyncio.CancelledError
        return await super().generate(request)


async def test_a_request_that_its_library_cancels_fails_its_row_alone() -> None:
    async def start(spec: EngineSpec) -> Engine:
        return Cancels(spec)

    of = plan([node("ask", "generate", **ASK)], ("ask",), fake_spec(FINE))
    results = await Worker(of, start, 8).run(rows(4, (1,)))
    assert [result.status for result in results] == ["kept", "failed", "kept", "kept"]
    assert results[1].error == "ask: the engine gave up the request before it answered"
    assert results[1].retryable, "another try may be answered"


async def test_a_start_that_its_library_cancels_ends_the_run() -> None:
    async def start(spec: EngineSpec) -> Engine:
        raise asyncio.CancelledError

    work = asking(Starts())
    work._start = start
    assert await work.run(rows(2)) == []
    assert str(work.fatal) == "engine 'teacher': its start was broken off by the library it runs on"


async def test_a_bug_in_starting_an_engine_again_is_raised_and_loses_no_row_silently() -> None:
    starts = FailsToStart()
    work = asking(starts)

    async def breaks(spec: EngineSpec) -> Engine:
        if starts.tries:
            raise TypeError("unhashable type")
        return await starts(spec)

    work._start = breaks
    with pytest.raises(TypeError, match="unhashable"):
        await work.run(rows(3))
