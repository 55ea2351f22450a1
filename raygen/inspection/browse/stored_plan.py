"""Read a plan back from plan.json, as far as replaying its recorded rows needs it.

Knows nothing of recipes: what the plan ran on isn't in the file.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from raygen.core import make_task
from raygen.engines import EngineError, EngineSpec
from raygen.ops import Binding, Op, OpParams
from raygen.planning import PLAN_VERSION, Node, Plan


class UnknownPlanError(Exception):
    """The plan can't be replayed here; str() says why."""


def rebuild_plan(stored: Mapping[str, Any], ops: Mapping[str, Op]) -> Plan:
    """Rebuild the plan. Raises UnknownPlanError where these ops don't make its rows."""
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
    return Node(name, op, params, tuple(stored["from"]), stored["engine"], binding=binding)


def _binding(
    name: str, op: Op, params: OpParams, facts: Mapping[str, str] | None
) -> Binding | None:
    """Bind the op to what it ran with; to what is here, where plan.json (0.1.0) has no facts."""
    if op.bind is None:
        return None
    try:
        return op.bind(params, facts)
    except (EngineError, ValueError) as error:
        raise UnknownPlanError(f"node {name!r}: {error}") from error
