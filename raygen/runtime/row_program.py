"""RowProgram: the whole graph for one source row, as asyncio tasks.

There is no barrier between steps: a row goes on to the next node the moment it is made; only a
group op waits, for the other rows of the same source row. Knows nothing of Ray, files or other
source rows. Errors of an engine itself are raised; whatever else goes wrong fails this row and no
other.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.core import Lineage, Reject, Row, Status, cancelled_by_library
from raygen.dataset import Call, Recorded, RecordedCalls, RejectedRow, RowResult
from raygen.engines import Engine, EngineDeadError, EngineError, RequestRefusedError
from raygen.ops import Op
from raygen.planning import Node, Plan, RowContext, SharedCalls
from raygen.recipe import REJECTS, SOURCE

_Order = tuple[int, Lineage]


@dataclass(slots=True)
class _Tally:
    """The results of one source row so far."""

    examples: list[tuple[_Order, Mapping[str, Any]]] = field(default_factory=list)
    rejects: list[tuple[_Order, RejectedRow]] = field(default_factory=list)
    calls: list[tuple[_Order, Call]] = field(default_factory=list)
    entered: Counter[str] = field(default_factory=Counter)
    emitted: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    gathered: dict[str, list[tuple[_Order, Row]]] = field(default_factory=dict)
    answers: RecordedCalls = field(default_factory=lambda: RecordedCalls({}))
    shared: SharedCalls = field(default_factory=SharedCalls)
    error: str | None = None
    retryable: bool = False


_OF_THE_ROW = frozenset({"prompt_too_long", "refused"})
"""Reasons of a refused request that lie in the row: it is dropped. Any other request that is
refused is a failure, since another try may be answered."""


_NO_OUTCOME = "no_outcome"
"""Reason of a row for which an op returned an empty list."""

_FINE = object()


@dataclass(frozen=True, slots=True)
class NodeStep:
    """One node on one row (a group op: on the rows of a source row), and its outcomes.

    `row` is the one whose id the step's calls carry.
    """

    node: str
    row: Row
    rows_in: tuple[Row, ...]
    outcomes: tuple[Row | Reject, ...]


Watch = Callable[[NodeStep], None]


class NodeError(Exception):
    """A node failed on a row in a way that is no reject; str() names the node and the cause.

    `retryable`: the reason may pass, and the row is worth another try.
    """

    def __init__(self, message: str, *, retryable: bool = False) -> None:
        super().__init__(message)
        self.retryable = retryable


class _OutcomeError(Exception):
    """An op returned something else than rows and rejects."""

    def __init__(self, op: Op, returned: str) -> None:
        super().__init__(
            f"op {op.name!r} returned {returned}; expected a list of Row and Reject: "
            "[row.child(ctx.node, k, {...})] or [Reject('reason')]"
        )


class RowProgram:
    """Runs one plan, row by row, over engines that are shared by all rows and nodes."""

    def __init__(
        self, plan: Plan, engines: Mapping[str, Engine], watch: Watch | None = None
    ) -> None:
        """Bind the plan to engines; `watch` gets every step as it ends."""
        self.plan = plan
        self._watch = watch
        self.engines = engines
        self._position = {node.name: index for index, node in enumerate(plan.nodes)}
        self._consumers: dict[str, list[Node]] = defaultdict(list)
        for node in plan.nodes:
            for source in node.inputs:
                self._consumers[source].append(node)
        self._wanted = {*self._consumers, *plan.outputs}

    async def run(
        self, key: str, data: Mapping[str, Any], recorded: Recorded | None = None
    ) -> RowResult:
        """Run the graph for one source row; calls that are `recorded` are answered from there.

        Returns kept (at least one example), dropped (rejects only) or failed (with the error, and
        no examples). Raises EngineDeadError, EngineUnavailableError and EngineSetupError, which
        are faults of an engine and not of this row.
        """
        started = time.monotonic()
        tally = _Tally(answers=RecordedCalls(recorded or {}))
        source = Row(key, data)
        try:
            await self._feed(SOURCE, source, tally)
            for node in self.plan.nodes:
                if gathered := tally.gathered.pop(node.name, []):
                    await self._step(node, source, _in_order(gathered), tally)
        except (EngineError, NodeError, ExceptionGroup) as raised:
            errors = leaves(raised)
            engine_errors = [leaf for leaf in errors if isinstance(leaf, EngineError)]
            if engine_errors:
                raise most_severe(engine_errors) from raised
            tally.error = str(errors[0])
            tally.retryable = all(isinstance(leaf, NodeError) and leaf.retryable for leaf in errors)
        return self._result(key, tally, time.monotonic() - started)

    async def _feed(self, name: str, row: Row, tally: _Tally) -> None:
        if name in self.plan.outputs:
            columns = {column: row.data.get(column) for column in self.plan.columns}
            order = (self.plan.outputs.index(name), row.lineage)
            tally.examples.append((order, {"id": row.id, "node": name, **columns}))
        for node in self._consumers[name]:
            if node.op.group:
                order = (node.inputs.index(name), row.lineage)
                tally.gathered.setdefault(node.name, []).append((order, row))
        await _together(
            [
                self._step(node, row, [row], tally)
                for node in self._consumers[name]
                if not node.op.group
            ]
        )

    async def _step(self, node: Node, row: Row, rows_in: Sequence[Row], tally: _Tally) -> None:
        """Run an op on a row, a group op on the rows that its inputs made of the source row."""
        tally.entered[node.name] += len(rows_in)
        order = (self._position[node.name], row.lineage)

        def record(call: Call) -> None:
            tally.calls.append((order, call))

        context = RowContext(
            self.plan, self.engines, node, row, record, tally.answers, tally.shared
        )
        outcomes = await _outcomes(node, rows_in if node.op.group else row, context)
        if self._watch is not None:
            self._watch(NodeStep(node.name, row, tuple(rows_in), tuple(outcomes)))
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
        tally.emitted[node.name] += len(rows)
        tally.dropped[node.name] += len(rejects)
        for reject in rejects:
            tally.rejects.append((order, RejectedRow(node.name, reject.reason, reject.detail)))
        fed = [(node.name, child) for child in rows]
        if node.name + REJECTS in self._wanted:
            fed += [
                (node.name + REJECTS, _rejected_row(node, row, k, reject))
                for k, reject in enumerate(rejects)
            ]
        await _together([self._feed(name, child, tally) for name, child in fed])

    def _result(self, key: str, tally: _Tally, seconds: float) -> RowResult:
        error = tally.error
        status: Status = "failed" if error else "kept" if tally.examples else "dropped"
        return RowResult(
            key=key,
            status=status,
            examples=() if error else tuple(_in_order(tally.examples)),
            rejects=tuple(_in_order(tally.rejects)),
            calls=tuple(_in_order(tally.calls)),
            error=error,
            seconds=seconds,
            node_counts={
                node.name: (
                    tally.entered[node.name],
                    tally.emitted[node.name],
                    tally.dropped[node.name],
                )
                for node in self.plan.nodes
            },
            retryable=tally.retryable,
        )


def _rejected_row(node: Node, row: Row, k: int, reject: Reject) -> Row:
    """Make a row of the k-th reject of a node, of what the op had made and its reason."""
    made = {**dict.fromkeys(node.rejects), **reject.columns}
    why = {"reject_reason": reject.reason, "reject_detail": reject.detail}
    return row.child(node.name + REJECTS, k, {**made, **why})


async def _outcomes(node: Node, rows_in: Row | Sequence[Row], context: RowContext) -> list[Any]:
    """Run a node's op; return its rows and rejects, at least one of them.

    Raises NodeError where the op fails or returns anything else, and the errors of an engine
    itself.
    """
    run: Any = node.op.run
    try:
        return _checked(node.op, await run(rows_in, node.run_params, context))
    except RequestRefusedError as refusal:
        if refusal.reason in _OF_THE_ROW:
            return [Reject(refusal.reason, refusal.detail)]
        raise NodeError(f"{node.name}: {refusal}", retryable=True) from refusal
    except EngineError:
        raise
    except asyncio.CancelledError as error:
        if not cancelled_by_library():
            raise
        message = f"{node.name}: the engine gave up the request before it answered"
        raise NodeError(message, retryable=True) from error
    except _OutcomeError as error:
        raise NodeError(f"{node.name}: {error}") from error
    except Exception as error:  # an op's bug or a bad row must never stop the other rows
        message = f"{node.name}: {type(error).__name__}: {error}"
        raise NodeError(message) from error


def _checked(op: Op, returned: Any) -> list[Row | Reject]:
    """Make a list of what an op returned; an empty list becomes a reject. Raises _OutcomeError."""
    if isinstance(returned, str | Mapping) or not isinstance(returned, Iterable):
        raise _OutcomeError(op, _type_name(returned))
    outcomes: list[Any] = list(returned)
    wrong = next((item for item in outcomes if not isinstance(item, Row | Reject)), _FINE)
    if wrong is not _FINE:
        raise _OutcomeError(op, f"{_type_name(returned)} with {_type_name(wrong)} in it")
    return outcomes or [Reject(_NO_OUTCOME, f"op {op.name!r} returned neither a row nor a reject")]


def _type_name(value: Any) -> str:
    return "None" if value is None else type(value).__name__


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first error cancels the rest. A single coroutine needs no task."""
    if len(work) == 1:
        await work[0]
    elif work:
        async with asyncio.TaskGroup() as group:
            for item in work:
                group.create_task(item)


def _in_order(items: Iterable[tuple[_Order, Any]]) -> list[Any]:
    """Sort by position in the graph and lineage, so that arrival order decides nothing."""
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def leaves(error: Exception) -> list[Exception]:
    """List the exceptions at the leaves of a nested group; a plain error is its own leaf."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def most_severe(errors: Sequence[EngineError]) -> EngineError:
    """Choose the error that explains the others: a dead engine, else the first."""
    return next((error for error in errors if isinstance(error, EngineDeadError)), errors[0])
