"""Count prompt tokens before anything runs: run ops on sample rows up to their first engine call.

The engine here never answers; it only counts the prompts. Texts of the row's own length stand in
for columns that earlier nodes would have made. Knows nothing of costs.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any, NoReturn

from raygen.core import ColumnType, Row, Task, run_coroutine
from raygen.core.limited import is_limited
from raygen.dataset import Call, RecordedCalls
from raygen.engines import EngineSetupError, EngineSpec, StandInEngine
from raygen.engines.models import LimitedTokenCounter, hub_access, load_tokenizer
from raygen.planning.plan import Node, Plan
from raygen.planning.row_context import RowContext
from raygen.recipe import SOURCE, feeding_node

_TURNS = 50
"""How often other tasks may run before an op without another call is taken to wait."""
_CHARACTERS_PER_TOKEN = 4


@dataclass(frozen=True, slots=True)
class TokenCounter:
    """Counts the tokens of an engine's prompts; `problem` says why it counts characters instead."""

    count: Callable[[str], int]
    problem: str = ""


@dataclass(frozen=True, slots=True)
class PromptTokenCounts:
    """Mean prompt tokens of a call, by node and engine, and what could only be guessed."""

    tokens: Mapping[tuple[str, str], float]
    problems: Mapping[str, str]
    """By engine, why its tokens are counted by characters."""

    failures: Mapping[str, str] = field(default_factory=dict)
    """By node, the error that ended its op before its first call."""


def count_prompt_tokens(
    plan: Plan, rows: Sequence[tuple[str, Mapping[str, Any]]]
) -> PromptTokenCounts:
    """Count the prompt tokens of every node on sample rows, as far as they can be known."""
    with ExitStack() as stack:
        counters = {name: _counter(spec, stack) for name, spec in plan.engines.items()}
        return _counted(plan, rows, counters)


def _counted(
    plan: Plan,
    rows: Sequence[tuple[str, Mapping[str, Any]]],
    counters: Mapping[str, TokenCounter],
) -> PromptTokenCounts:
    means: dict[tuple[str, str], float] = {}
    failures: dict[str, str] = {}
    for node in plan.nodes:
        if node.op.needs_engine or node.params.engines():
            calls, errors = run_coroutine(_calls(plan, node, rows, counters))
            for engine in {engine for engine, _ in calls}:
                counts = [tokens for name, tokens in calls if name == engine]
                means[node.name, engine] = sum(counts) / len(counts)
            if errors and not calls:
                failures[node.name] = f"{type(errors[0]).__name__}: {errors[0]}"
    problems = {name: counter.problem for name, counter in counters.items() if counter.problem}
    return PromptTokenCounts(means, problems, failures)


def _counter(spec: EngineSpec, stack: ExitStack) -> TokenCounter:
    if spec.backend == "fake":
        return TokenCounter(_by_characters)
    try:
        with hub_access(anonymous=spec.anonymous):
            if is_limited():  # which starts no process of its own
                return TokenCounter(load_tokenizer(spec.model, spec.revision).count)
            counter = LimitedTokenCounter(spec.model, spec.revision)
        return TokenCounter(stack.enter_context(counter).count)
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
    """List the engine and the prompt tokens of each call of an op before it needs an answer.

    Returns also the errors that ended the op, which a stand-in value may have caused.
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
        rows_in = [row] if node.op.group else row
        task = asyncio.ensure_future(run(rows_in, node.run_params, context))
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
    """Record nothing: no call ends here."""


def _made_before(plan: Plan, node: Node) -> dict[str, ColumnType]:
    """Collect the columns that the nodes before this one add."""
    by_name = {other.name: other for other in plan.nodes}
    made: dict[str, ColumnType] = {}
    waiting = list(node.inputs)
    while waiting:
        name = feeding_node(waiting.pop())
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
    """An engine that counts the tokens of its prompts, and never answers."""

    def __init__(self, name: str, counter: TokenCounter, calls: list[tuple[str, int]]) -> None:
        self._name = name
        self._counter = counter
        self._calls = calls

    async def receive(self, *texts: str) -> NoReturn:
        self._calls.append((self._name, sum(map(self._counter.count, texts))))
        while True:
            await asyncio.Event().wait()
