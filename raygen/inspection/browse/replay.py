"""Replay a finished source row on its recorded calls, to recover the rows that nodes dropped.

Ops are pure, so a row whose calls are all on record ends as it did. The plan is rebuilt from
plan.json. There is no engine: a call that isn't on record ends the replay. Knows nothing of how
rejects are shown.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from pydantic import ValidationError

from raygen.core import Reject, make_task
from raygen.dataset import Call, Recorded, RejectedRow
from raygen.engines import Engine, EngineError, EngineSetupError, EngineSpec, StandInEngine
from raygen.ops import Binding, Op, OpParams
from raygen.planning import PLAN_VERSION, Node, Plan
from raygen.runtime import NodeStep, RowProgram


@dataclass(frozen=True, slots=True)
class DroppedRow:
    """A row as a node dropped it, and the completions that it was made of."""

    data: Mapping[str, Any]
    completions: tuple[str, ...]


async def replay(
    plan: Plan,
    key: str,
    data: Mapping[str, Any],
    recorded: Recorded,
    rejects: Sequence[RejectedRow],
) -> list[DroppedRow] | None:
    """Replay a source row to recover the rows behind its rejects, in their order.

    Args:
        plan: The plan that the row ran with.
        key: The row's key.
        data: The row's columns.
        recorded: Its calls, by the hash of the request.
        rejects: Its rejects, from the ledger.

    Returns None where a call isn't on record, or the replay's rejects differ from the ledger's.
    """
    steps: list[NodeStep] = []
    engines: Mapping[str, Engine] = {name: _NoEngine() for name in plan.engines}
    program = RowProgram(plan, engines, steps.append)
    try:
        result = await program.run(key, data, recorded)
    except EngineSetupError:
        return None
    if result.rejects != tuple(rejects):
        return None
    order = {node.name: index for index, node in enumerate(plan.nodes)}
    steps.sort(key=lambda step: (order[step.node], step.row.lineage))
    return [
        _dropped(step, index, result.calls)
        for step in steps
        for index, outcome in enumerate(step.outcomes)
        if isinstance(outcome, Reject)
    ]


def texts(calls: Iterable[Call]) -> tuple[str, ...]:
    """Collect the texts of generated completions, in the order of the calls."""
    return tuple(
        answer["text"].strip()
        for call in calls
        if call.kind == "generate"
        for answer in json.loads(call.completions)
    )


def _dropped(step: NodeStep, index: int, calls: Sequence[Call]) -> DroppedRow:
    """Find the row and the completions behind a step's outcome.

    An op that takes a group of rows, or checks each completion, returns one outcome for each of
    them, in their order.
    """
    number = len(step.outcomes)
    calls_of_step = [call for call in calls if (call.node, call.row) == (step.node, step.row.id)]
    completions = texts(calls_of_step)
    row = step.rows_in[index] if len(step.rows_in) == number else step.row
    aligned = len(calls_of_step) == 1 and len(completions) == number
    return DroppedRow(row.data, completions[index : index + 1] if aligned else completions)


class _NoEngine(StandInEngine):
    """An engine that refuses every request."""

    async def receive(self, *texts: str) -> NoReturn:
        raise EngineSetupError("the call isn't on record")


class UnknownPlanError(Exception):
    """The stored plan can't be rebuilt with the ops installed here; str() says why."""


def rebuild_plan(stored: Mapping[str, Any], ops: Mapping[str, Op]) -> Plan:
    """Rebuild a plan from plan.json with the ops installed here.

    Raises UnknownPlanError where an op is missing, or has another version or parameters.
    """
    if stored["version"] != PLAN_VERSION:
        raise UnknownPlanError(f"its plan.json is of version {stored['version']}")
    return Plan(
        recipe=stored["recipe"],
        task=make_task(stored["task"], stored.get("labels")),
        nodes=tuple(_node(node, ops) for node in stored["nodes"]),
        outputs=tuple(stored["outputs"]),
        engines={
            name: EngineSpec(name, engine["model"], engine["revision"])
            for name, engine in stored["engines"].items()
        },
        columns=stored["columns"],
        hash=stored["hash"],
        max_failed=stored["max_failed"],
    )


def _node(stored: Mapping[str, Any], ops: Mapping[str, Op]) -> Node:
    name, op = stored["name"], ops.get(stored["op"])
    if op is None:
        raise UnknownPlanError(
            f"node {name!r} has the op {stored['op']!r}, which isn't installed here; install its "
            "package, or give its file with --trust"
        )
    if op.version != (ran := stored["op_version"]):
        raise UnknownPlanError(
            f"node {name!r} ran version {ran} of {op.name!r}, and here is version {op.version}"
        )
    try:
        params = op.params.read_back(stored["params"])
    except ValidationError as error:
        raise UnknownPlanError(f"node {name!r}: {op.name!r} takes other parameters now") from error
    binding = _binding(name, op, params, stored.get("bound"))
    inputs, rejects = tuple(stored["from"]), stored.get("rejects", {})
    return Node(name, op, params, inputs, stored["engine"], rejects=rejects, binding=binding)


def _binding(
    name: str, op: Op, params: OpParams, facts: Mapping[str, str] | None
) -> Binding | None:
    """Bind an op to the facts it ran with; where plan.json has none (0.1.0), to those of here."""
    if op.bind is None:
        return None
    try:
        return op.bind(params, facts)
    except (EngineError, ValueError) as error:
        raise UnknownPlanError(f"node {name!r}: {error}") from error
