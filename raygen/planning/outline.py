"""A plan as plain data: what is shown of it, and no op or parameter, which are code.

Knows nothing of who shows it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygen.core import ColumnType, Task
from raygen.engines import EngineSpec
from raygen.planning.plan import Node, Plan


@dataclass(frozen=True, slots=True)
class OpOutline:
    """The name and the version of an op."""

    name: str
    version: int


@dataclass(frozen=True, slots=True)
class NodeOutline:
    """What is shown of a node."""

    name: str
    op: OpOutline
    inputs: tuple[str, ...]
    engine: str | None
    all_engines: tuple[str, ...]
    adds: Mapping[str, ColumnType]


@dataclass(frozen=True, slots=True)
class PlanOutline:
    """What is shown of a plan."""

    recipe: str
    task: Task
    nodes: tuple[NodeOutline, ...]
    outputs: tuple[str, ...]
    engines: Mapping[str, EngineSpec]
    columns: Mapping[str, ColumnType]
    hash: str
    max_failed: float
    written: Mapping[str, Any]

    def to_json(self) -> dict[str, Any]:
        """Convert the plan to `plan.json`, as a plan does."""
        return dict(self.written)


def outline(plan: Plan) -> PlanOutline:
    """Take from a plan what is shown of it."""
    return PlanOutline(
        recipe=plan.recipe,
        task=plan.task,
        nodes=tuple(
            NodeOutline(
                name=node.name,
                op=OpOutline(node.op.name, node.op.version),
                inputs=node.inputs,
                engine=node.engine,
                all_engines=node.all_engines,
                adds=dict(node.adds),
            )
            for node in plan.nodes
        ),
        outputs=plan.outputs,
        engines=dict(plan.engines),
        columns=dict(plan.columns),
        hash=plan.hash,
        max_failed=plan.max_failed,
        written=plan.to_json(),
    )


AnyPlan = Plan | PlanOutline
AnyNode = Node | NodeOutline
"""What is shown: a plan of this process, or one that was made in another."""
