"""What an actor does for one ticket, with the real control and fake engines, without Ray."""

from __future__ import annotations

import asyncio
import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from raygen.dataset.control_files import write_probe
from raygen.dataset.records import WrittenBlock
from raygen.dataset.storage import Folder
from raygen.engines.base import Completion, Engine, EngineSetupError, EngineSpec, Request
from raygen.engines.fake import FakeEngine
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.block_runner import BlockRunner
from raygen.runtime.coordinator import Coordinator
from raygen.runtime.tasks import GenerationJob, RowBlock
from raygen.runtime.worker import CRASH, Worker
from raygen.sources import key_source, open_keyed
from tests.support.small_datasets import QUIZ, questions, write_recipe


class Gated(FakeEngine):
    """Answers only when it may."""

    def __init__(self, spec: EngineSpec) -> None:
        super().__init__(spec)
        self.asked = asyncio.Event()
        self.allowed = asyncio.Event()

    async def generate(self, request: Request) -> list[Completion]:
        self.asked.set()
        await self.allowed.wait()
        return await super().generate(request)


class Actor:
    """A block runner over three rows, with its control."""

    def __init__(
        self, folder: Path, rows: list[dict[str, Any]] | None = None, **changes: Any
    ) -> None:
        prepared = prepare(RecipeRequest(write_recipe(folder, QUIZ, rows or questions(3))))
        self.folder = Folder.at(prepared.output)
        source = key_source(prepared.recipe.source, prepared.plan.task, folder, self.folder)
        settings: Mapping[str, Any] = {
            "plan": prepared.plan,
            "folder": self.folder,
            "source": source.name,
            "probe": write_probe(self.folder, "run"),
            "replicas": (1, 1),
            "concurrency": 4,
            "threads": 1,
            "logs": str(folder),
        }
        self.job = GenerationJob(**{**settings, **changes})
        self.engines: list[Gated] = []
        self.started = asyncio.Event()
        self.control = Coordinator()
        self.worker = Worker(self.job.plan, self.start, 4, pauses=())
        self.runner = BlockRunner(self.job, self.worker, self.control)

    async def start(self, spec: EngineSpec) -> Engine:
        self.engines.append(Gated(spec))
        self.started.set()
        return self.engines[-1]

    async def engine(self) -> Gated:
        """The engine, once a row has asked it."""
        await self.started.wait()
        await self.engines[0].asked.wait()
        return self.engines[0]


def block_of(payload: bytes) -> WrittenBlock:
    block = pickle.loads(payload)  # noqa: S301 - what was pickled a moment ago
    assert isinstance(block, WrittenBlock)
    return block


async def test_a_ticket_gives_the_block_of_its_task(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    await actor.control.feed([RowBlock((0, 2))], first=False)
    running = asyncio.create_task(actor.runner.run(0))
    (await actor.engine()).allowed.set()
    assert [line.status for line in block_of(await running).lines] == ["kept", "kept"]
    await actor.control.close()
    assert await actor.runner.run(1) == b"", "there was no task for it"


async def test_a_row_that_does_not_fit_is_dropped_for_its_reason(tmp_path: Path) -> None:
    rows = questions(12)
    rows[1]["answer"] = "Z"
    actor = Actor(tmp_path, rows)
    await actor.control.feed([RowBlock((0, 1)), RowBlock((1,))], first=False)
    running = asyncio.create_task(actor.runner.run(0))
    (await actor.engine()).allowed.set()
    kept, dropped = block_of(await running).lines
    assert (kept.status, dropped.status, dropped.calls) == ("kept", "dropped", 0)
    (reject,) = dropped.rejects
    assert (reject.node, reject.reason) == ("source", "invalid_row")
    assert "answer is 'Z'" in reject.detail
    assert actor.worker.stats.statuses == {"kept": 1, "dropped": 1, "failed": 0}
    (alone,) = block_of(await actor.runner.run(1)).lines
    assert alone.key == dropped.key


async def test_a_process_takes_no_block_while_it_holds_enough_rows(tmp_path: Path) -> None:
    """Else the first that is up would take all of a large source, in blocks that are large."""
    actor = Actor(tmp_path, concurrency=1)
    first, second, third = RowBlock((0, 1)), RowBlock((2, 0)), RowBlock((1,))
    await actor.control.feed([first, second, third], first=False)
    running = [asyncio.create_task(actor.runner.run(ticket)) for ticket in range(3)]
    engine = await actor.engine()
    left, _ = await actor.control.take(99, wait=False)
    assert left == third, "with two blocks of two rows it holds more than three"
    await actor.control.give_back(99)
    engine.allowed.set()
    blocks = [block_of(payload) for payload in await asyncio.gather(*running)]
    assert sorted(len(block.lines) for block in blocks) == [1, 2, 2]


async def test_the_task_of_a_cancelled_ticket_is_run_by_another_one(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    await actor.control.feed([RowBlock((0, 1))], first=False)
    cancelled = asyncio.create_task(actor.runner.run(0))
    engine = await actor.engine()
    cancelled.cancel()
    assert await cancelled == b""
    engine.allowed.set()
    block = block_of(await actor.runner.run(1))
    assert [line.status for line in block.lines] == ["kept", "kept"]


async def test_a_ticket_that_is_cancelled_before_it_has_a_task_takes_none(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    waiting = asyncio.create_task(actor.runner.run(0))
    await asyncio.sleep(0)
    waiting.cancel()
    assert await waiting == b""
    await actor.control.feed([RowBlock((0,))], first=False)
    other = asyncio.create_task(actor.runner.run(1))
    (await actor.engine()).allowed.set()
    assert len(block_of(await other).lines) == 1


async def test_a_block_that_killed_its_process_twice_is_run_row_by_row(tmp_path: Path) -> None:
    actor = Actor(tmp_path)
    await actor.control.feed([RowBlock((0, 1))], first=False)
    for _ in range(2):
        await actor.control.take(0, wait=True)  # two processes took it and died
    key, _ = open_keyed(actor.folder, actor.job.source).read((0,))[0]
    for _ in range(2):
        await actor.control.begin(f"row {key}")  # and two more died while this row ran alone
    running = asyncio.create_task(actor.runner.run(0))
    (await actor.engine()).allowed.set()
    lines = block_of(await running).lines
    (guilty,) = [line for line in lines if line.key == key]
    (other,) = [line for line in lines if line.key != key]
    assert (guilty.status, other.status) == ("failed", "kept")
    assert [reject.reason for reject in guilty.rejects] == [CRASH]


async def test_an_engine_that_cannot_start_is_the_users_to_mend(tmp_path: Path) -> None:
    actor = Actor(tmp_path)

    async def refuse(spec: EngineSpec) -> Engine:
        raise EngineSetupError("no such model")

    actor.worker._start = refuse
    await actor.control.feed([RowBlock((0,))], first=False)
    assert await actor.runner.run(0) == pickle.dumps(None), "its rows stay pending"
    _, fatal = await actor.control.read()
    assert fatal is not None
    assert (fatal.message, fatal.user_fault) == ("no such model", True)


async def test_a_bug_ends_the_run_and_names_itself(tmp_path: Path) -> None:
    actor = Actor(tmp_path)

    async def breaks(spec: EngineSpec) -> Engine:
        raise TypeError("unhashable type")

    actor.worker._start = breaks
    await actor.control.feed([RowBlock((0,))], first=False)
    assert await actor.runner.run(0) == b""
    _, fatal = await actor.control.read()
    assert fatal is not None
    assert fatal.message == "internal error in a worker: TypeError: unhashable type"
    assert not fatal.user_fault


async def test_a_machine_that_does_not_see_the_folder_ends_the_run(tmp_path: Path) -> None:
    actor = Actor(tmp_path, probe="control/none")
    await actor.control.feed([RowBlock((0,))], first=False)
    assert await actor.runner.run(0) == b""
    _, fatal = await actor.control.read()
    assert fatal is not None
    assert "doesn't see the output folder" in fatal.message
