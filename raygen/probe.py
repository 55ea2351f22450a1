"""Prompt tokens before anything has run: ops are run on sample rows up to their first engine call.

The engine here never answers; it only takes down what it is asked. Columns that earlier nodes
would have made stand in as texts of the row's own length. Knows nothing of costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from raygen.engines.base import (
    Completion,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Sampling,
    Score,
    TokenScore,
)
from raygen.engines.tokenizer import load_tokenizer
from raygen.graph import SOURCE
from raygen.loop import in_own_loop
from raygen.plan import Node, Plan
from raygen.row import ColumnType, Row, derive_seed
from raygen.task import Task

_TURNS = 50
"""How often other tasks may run before an op that asks nothing more is taken to wait."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts the tokens of an engine's prompts; `problem` says why it has to guess."""

    count: Callable[[str], int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class Probed:
    """Mean prompt tokens of a call, by node and engine, and what could only be guessed."""

    tokens: Mapping[tuple[str, str], float]
    problems: Mapping[str, str]
    """By engine, why its tokens are counted by characters."""


def probe(plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]) -> Probed:
    """Count the prompt tokens of every node on sample rows, as far as it can be known."""
    counters = {name: _counter(spec) for name, spec in plan.engines.items()}
    found: dict[tuple[str, str], float] = {}
    for node in plan.nodes:
        if node.op.needs_engine or node.params.engines():
            asked = in_own_loop(_ask(plan, node, rows, counters))
            for engine in {engine for engine, _ in asked}:
                counts = [tokens for name, tokens in asked if name == engine]
                found[node.name, engine] = sum(counts) / len(counts)
    problems = {name: counter.problem for name, counter in counters.items() if counter.problem}
    return Probed(found, problems)


def _counter(spec: EngineSpec) -> Counter:
    if spec.backend == "fake":
        return Counter(_by_characters)
    try:
        return Counter(load_tokenizer(spec.model, spec.revision).count)
    except EngineSetupError as error:
        return Counter(_by_characters, str(error))


def _by_characters(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


async def _ask(
    plan: Plan,
    node: Node,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    counters: Mapping[str, Counter],
) -> list[tuple[str, int]]:
    """Engine and prompt tokens of each call that the op makes before it needs an answer."""
    asked: list[tuple[str, int]] = []
    made = _made_before(plan, node)
    run: Any = node.op.run
    for key, data in rows:
        row = Row(key, {**data, **dict(_stand_ins(plan.task, data, made))})
        context = _Silent(plan, node, row, counters, asked)
        before = -1
        task = asyncio.ensure_future(run([row] if node.op.group else row, node.params, context))
        while not task.done() and before != len(asked):
            before = len(asked)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        task.cancel()
        # An op that a stand-in makes fail says nothing of its prompts, and nothing is wrong.
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()
    return asked


def _made_before(plan: Plan, node: Node) -> dict[str, ColumnType]:
    """The columns that the nodes above this one add."""
    by_name = {one.name: one for one in plan.nodes}
    made: dict[str, ColumnType] = {}
    waiting = list(node.inputs)
    while waiting:
        name = waiting.pop()
        if name != SOURCE:
            made = {**by_name[name].adds, **made}
            waiting += by_name[name].inputs
    return made


def _stand_ins(
    task: Task, data: Mapping[str, Any], made: Mapping[str, ColumnType]
) -> Iterator[tuple[str, Any]]:
    values: dict[ColumnType, Any] = {
        "string": data[task.stem],
        "integer": 0,
        "number": 0.0,
        "boolean": False,
        "strings": [],
        "json": [],
    }
    for name, kind in made.items():
        # A column of the task keeps its own value: it is the right length already.
        if name not in task.columns:
            yield name, values[kind]


@dataclass(frozen=True, slots=True)
class _Silent:
    """A Context whose engines never answer."""

    plan: Plan
    running: Node
    row: Row
    counters: Mapping[str, Counter]
    asked: list[tuple[str, int]] = field(default_factory=list)

    @property
    def node(self) -> str:
        return self.running.name

    @property
    def task(self) -> Task:
        return self.plan.task

    def seed(self, k: int = 0) -> int:
        return derive_seed(self.row, self.node, k)

    def teacher(self, engine: str | None = None) -> str:
        return self.plan.engines[self._name(engine)].model

    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        schema: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> list[Completion]:
        await self._silence(prompt, engine)

    async def score(
        self, prompt: Prompt, candidates: Sequence[str], *, engine: str | None = None
    ) -> list[Score]:
        await self._silence(prompt, engine, len(candidates))

    async def classify(self, text: str, *, engine: str | None = None) -> dict[str, float]:
        await self._silence(text, engine)

    async def attribute(
        self, text: str, start: int, target: str, *, engine: str | None = None
    ) -> list[TokenScore]:
        await self._silence(text, engine)

    async def nearest(self, word: str, k: int, *, engine: str | None = None) -> list[str]:
        await self._silence(word, engine)

    def _name(self, engine: str | None) -> str:
        return engine or self.running.engine or next(iter(self.running.params.engines().values()))

    async def _silence(self, prompt: Prompt, engine: str | None, times: int = 1) -> NoReturn:
        name = self._name(engine)
        text = prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)
        self.asked.append((name, times * self.counters[name].count(text)))
        while True:
            await asyncio.Event().wait()
