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


def written_plan(written: Mapping[str, Any], ops: Mapping[str, Op]) -> Plan:
    """Rebuild the plan. Raises UnknownPlanError where these ops don't make its rows."""
    if written["version"] != PLAN_VERSION:
        raise UnknownPlanError(f"its plan.json is of version {written['version']}")
    return Plan(
        recipe=written["recipe"],
        task=make_task(written["task"], written.get("labels")),
        nodes=tuple(_node(node, ops) for node in written["nodes"]),
        outputs=tuple(written["outputs"]),
        engines={
            name: EngineSpec(name, engine["model"], engine["revision"])
            for name, engine in written["engines"].items()
        },
        columns=written["columns"],
        hash=written["hash"],
        max_failed=written["max_failed"],
    )


def _node(written: Mapping[str, Any], ops: Mapping[str, Op]) -> Node:
    name, op = written["name"], ops.get(written["op"])
    if op is None:
        raise UnknownPlanError(
            f"node {name!r} has the op {written['op']!r}, which isn't installed here; install its "
            "package, or give its file with --trust"
        )
    if op.version != (ran := written["op_version"]):
        raise UnknownPlanError(
            f"node {name!r} ran version {ran} of {op.name!r}, and here is version {op.version}"
        )
    try:
        params = op.params.read_back(written["params"])
    except ValidationError as error:
        raise UnknownPlanError(f"node {name!r}: {op.name!r} takes other parameters now") from error
    binding = _binding(name, op, params, written.get("bound"))
    return Node(name, op, params, tuple(written["from"]), written["engine"], binding=binding)


def _binding(
    name: str, op: Op, params: OpParams, facts: Mapping[str, str] | None
) -> Binding | None:
    """What the op ran with; as it is here, where a plan.json of raygen 0.1.0 has no facts."""
    if op.bind is None:
        return None
    try:
        return op.bind(params, facts)
    except (EngineError, ValueError) as error:
        raise UnknownPlanError(f"node {name!r}: {error}") from error
