"""RowProgram: the whole graph for one source row, as asyncio tasks.

There is no barrier between steps: a row goes on to the next node the moment it is made; only a
group op waits, for the other rows of the same source row. Knows nothing of Ray, files or other
source rows. Errors that are an engine's own leave it; whatever else goes
wrong fails this row and no other.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict
from collections.abc import Coroutine, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.context import RowContext
from raygen.dataset.tables import Call, Rejected, RowResult
from raygen.engines.base import (
    Engine,
    EngineDeadError,
    EngineError,
    RequestRefusedError,
)
from raygen.graph import SOURCE
from raygen.plan import Node, Plan
from raygen.row import Lineage, Reject, Row, Status

_Order = tuple[int, Lineage]


@dataclass(slots=True)
class _Tally:
    """What has come of one source row so far."""

    examples: list[tuple[_Order, Mapping[str, Any]]] = field(default_factory=list)
    rejects: list[tuple[_Order, Rejected]] = field(default_factory=list)
    calls: list[tuple[_Order, Call]] = field(default_factory=list)
    entered: Counter[str] = field(default_factory=Counter)
    emitted: Counter[str] = field(default_factory=Counter)
    dropped: Counter[str] = field(default_factory=Counter)
    gathered: dict[str, list[tuple[_Order, Row]]] = field(default_factory=dict)


class NodeError(Exception):
    """A node failed on a row in a way that is no reject; str() names the node and the cause."""


class RowProgram:
    """Runs one plan, row by row, over engines that are shared by all rows and nodes."""

    def __init__(self, plan: Plan, engines: Mapping[str, Engine]) -> None:
        self.plan = plan
        self.engines = engines
        self._place = {node.name: index for index, node in enumerate(plan.nodes)}
        self._consumers: dict[str, list[Node]] = defaultdict(list)
        for node in plan.nodes:
            for source in node.inputs:
                self._consumers[source].append(node)

    async def run(self, key: str, data: Mapping[str, Any]) -> RowResult:
        """Run the graph for one source row.

        Returns kept (at least one example), dropped (rejects only) or failed (with the error, and
        no examples). Raises EngineDeadError, EngineUnavailableError and EngineSetupError: they
        speak of an engine and not of this row.
        """
        started = time.monotonic()
        tally = _Tally()
        error: str | None = None
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
            error = str(errors[0])
        return self._result(key, tally, error, time.monotonic() - started)

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
        place = (self._place[node.name], row.lineage)

        def record(call: Call) -> None:
            tally.calls.append((place, call))

        context = RowContext(self.plan, self.engines, node, row, record)
        run: Any = node.op.run
        try:
            outcomes = await run(rows_in if node.op.group else row, node.params, context)
        except RequestRefusedError as refusal:
            outcomes = [Reject(refusal.reason, refusal.detail)]
        except EngineError:
            raise
        except Exception as error:  # an op's bug or a bad row must never stop the other rows
            message = f"{node.name}: {type(error).__name__}: {error}"
            raise NodeError(message) from error
        rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
        rejects = [outcome for outcome in outcomes if isinstance(outcome, Reject)]
        tally.emitted[node.name] += len(rows)
        tally.dropped[node.name] += len(rejects)
        for reject in rejects:
            tally.rejects.append((place, Rejected(node.name, reject.reason, reject.detail)))
        await _together([self._feed(node.name, child, tally) for child in rows])

    def _result(self, key: str, tally: _Tally, error: str | None, seconds: float) -> RowResult:
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
        )


async def _together(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """Await all; the first error cancels the rest. One alone needs no task of its own."""
    if len(work) == 1:
        await work[0]
    elif work:
        async with asyncio.TaskGroup() as group:
            for item in work:
                group.create_task(item)


def _in_order(items: Iterable[tuple[_Order, Any]]) -> list[Any]:
    """By place in the graph and lineage, so that arrival order decides nothing."""
    return [item for _, item in sorted(items, key=lambda pair: pair[0])]


def leaves(error: Exception) -> list[Exception]:
    """The exceptions at the leaves of a nested group; a plain error is its own leaf."""
    if not isinstance(error, ExceptionGroup):
        return [error]
    return [leaf for inner in error.exceptions for leaf in leaves(inner)]


def most_severe(errors: Sequence[EngineError]) -> EngineError:
    """A dead engine explains whatever else went wrong beside it."""
    return next((error for error in errors if isinstance(error, EngineDeadError)), errors[0])
