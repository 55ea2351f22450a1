"""Prompt tokens before anything has run: ops are run on sample rows up to their first engine call.

The engine here never answers; it only takes down what it is asked. Columns that earlier nodes
would have made stand in as texts of the row's own length. Knows nothing of costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NoReturn

from raygen.core import ColumnType, Row, Task, run_coroutine
from raygen.dataset import Call, RecordedCalls
from raygen.engines import EngineSetupError, EngineSpec, StandInEngine
from raygen.engines.models import load_tokenizer
from raygen.planning.plan import Node, Plan
from raygen.planning.row_context import RowContext
from raygen.recipe import SOURCE

_TURNS = 50
"""How often other tasks may run before an op that asks nothing more is taken to wait."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of an engine's prompts; `problem` says why it has to guess."""

    count: Callable[[str], int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PromptTokenCounts:
    """Mean prompt tokens of a call, by node and engine, and what could only be guessed."""

    tokens: Mapping[tuple[str, str], float]
    problems: Mapping[str, str]
    """By engine, why its tokens are counted by characters."""

    failures: Mapping[str, str] = field(default_factory=dict)
    """By node, the error that its op ended with before it asked anything."""


def count_prompt_tokens(
    plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> PromptTokenCounts:
    """Count the prompt tokens of every node on sample rows, as far as it can be known."""
    counters = {name: _counter(spec) for name, spec in plan.engines.items()}
    found: dict[tuple[str, str], float] = {}
    failures: dict[str, str] = {}
    for node in plan.nodes:
        if node.op.needs_engine or node.params.engines():
            calls, errors = run_coroutine(_calls(plan, node, rows, counters))
            for engine in {engine for engine, _ in calls}:
                counts = [tokens for name, tokens in calls if name == engine]
                found[node.name, engine] = sum(counts) / len(counts)
            if errors and not calls:
                failures[node.name] = f"{type(errors[0]).__name__}: {errors[0]}"
    problems = {name: counter.problem for name, counter in counters.items() if counter.problem}
    return PromptTokenCounts(found, problems, failures)


def _counter(spec: EngineSpec) -> TokenCounter:
    if spec.backend == "fake":
        return TokenCounter(_by_characters)
    try:
        return TokenCounter(load_tokenizer(spec.model, spec.revision).count)
    except EngineSetupError as error:
        return TokenCounter(_by_characters, str(error))


def _by_characters(text: str) -> int:
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


async def _calls(
    plan: Plan,
    node: Node,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    counters: Mapping[str, TokenCounter],
) -> tuple[list[tuple[str, int]], list[BaseException]]:
    """Engine and prompt tokens of each call that the op makes before it needs an answer.

    Beside them the errors that it ended with, which a stand-in value may have caused.
    """
    calls: list[tuple[str, int]] = []
    errors: list[BaseException] = []
    engines = {name: _Counting(name, counter, calls) for name, counter in counters.items()}
    made = _made_before(plan, node)
    run: Any = node.op.run
    for key, data in rows:
        row = Row(key, {**data, **dict(_stand_ins(plan.task, data, made))})
        context = RowContext(plan, engines, node, row, _ignore, RecordedCalls({}))
        before = -1
        given = [row] if node.op.group else row
        task = asyncio.ensure_future(run(given, node.run_params, context))
        while not task.done() and before != len(calls):
            before = len(calls)
            for _ in range(_TURNS):
                await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        if not task.cancelled() and (error := task.exception()) is not None:
            errors.append(error)
    return calls, errors


def _ignore(call: Call) -> None:
    """No call ends here, so there is none to record."""


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


class _Counting(StandInEngine):
    """Counts the tokens of what it is asked, and never answers."""

    def __init__(self, name: str, counter: TokenCounter, calls: list[tuple[str, int]]) -> None:
        self._name = name
        self._counter = counter
        self._calls = calls

    async def receive(self, *texts: str) -> NoReturn:
        self._calls.append((self._name, sum(map(self._counter.count, texts))))
        while True:
            await asyncio.Event().wait()
