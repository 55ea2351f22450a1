"""Small plans on the fake engine for the tests of what runs them."""

from collections.abc import Mapping
from typing import Any

from raygen.engines.base import EngineSpec
from raygen.engines.fake import FakeEngine
from raygen.ops.registry import built_in
from raygen.plan import Node, Plan
from raygen.task import TASKS

QUESTION = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}


def fake_spec(*answers: Any, latency: float = 0.0) -> EngineSpec:
    """A fake teacher with scripted answers."""
    return EngineSpec(
        "teacher", "fake", backend="fake", args={"answers": list(answers), "latency": latency}
    )


def node(name: str, op: str, source: str = "source", **params: Any) -> Node:
    """A node with typed parameters; with the fake teacher where the op needs an engine."""
    table = built_in()
    engine = "teacher" if table[op].needs_engine else None
    return Node(name, table[op], table[op].params.model_validate(params), (source,), engine)


def plan(
    nodes: list[Node],
    outputs: tuple[str, ...],
    spec: EngineSpec | None = None,
    columns: Mapping[str, Any] | None = None,
) -> Plan:
    """A plan of these nodes, in this order."""
    return Plan(
        recipe="test",
        task=TASKS["multiple_choice"],
        nodes=tuple(nodes),
        outputs=outputs,
        engines={"teacher": spec} if spec else {},
        columns=columns or {"question": "string"},
        hash="plan",
        max_failed=0.05,
    )


def engines(of: Plan) -> dict[str, FakeEngine]:
    """The fake engines of a plan."""
    return {name: FakeEngine(spec) for name, spec in of.engines.items()}
