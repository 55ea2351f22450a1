"""Small plans on the fake engine for the tests of what runs them."""

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.core.task import TASKS
from raygen.engines.base import EngineSpec
from raygen.engines.fake import FakeEngine
from raygen.ops.registry import built_in
from raygen.planning.plan import Node, Plan

QUESTION = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}


def fake_spec(*answers: Any, latency: float = 0.0, name: str = "teacher") -> EngineSpec:
    """A fake engine with scripted answers."""
    return EngineSpec(
        name, "fake", backend="fake", args={"answers": list(answers), "latency": latency}
    )


def node(
    name: str, op: str, source: str = "source", engine: str | None = "teacher", **params: Any
) -> Node:
    """A node with typed parameters; with a fake engine where the op needs one."""
    table = built_in()
    engine = engine if table[op].needs_engine else None
    return Node(name, table[op], table[op].params.model_validate(params), (source,), engine)


def plan(
    nodes: list[Node],
    outputs: tuple[str, ...],
    specs: EngineSpec | Sequence[EngineSpec] | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Plan:
    """A plan of these nodes, in this order, over one engine or several."""
    if isinstance(specs, EngineSpec):
        specs = [specs]
    return Plan(
        recipe="test",
        task=TASKS["multiple_choice"],
        nodes=tuple(nodes),
        outputs=outputs,
        engines={spec.name: spec for spec in specs or ()},
        columns=columns or {"question": "string"},
        hash="plan",
        max_failed=0.05,
    )


def engines(of: Plan) -> dict[str, FakeEngine]:
    """The fake engines of a plan."""
    return {name: FakeEngine(spec) for name, spec in of.engines.items()}
