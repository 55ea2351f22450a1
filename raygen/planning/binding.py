"""Bind a plan to the machine that plans, once, so that a plan always makes the same dataset.

A library that is installed or not, a tokenizer's file: each worker would find its own. So the
driver looks them up, and the workers get them with the plan. Knows nothing of what an op looks up.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import replace

from raygen.core import UserError
from raygen.dataset import Dataset
from raygen.engines import EngineError
from raygen.engines.models import hub_access
from raygen.planning.plan import Node, Plan


def bind_plan(plan: Plan, *, anonymous: bool = False) -> Plan:
    """Look up what the plan's ops need here; `anonymous`: the hub is asked without a token.

    Raises UserError for what this machine lacks.
    """
    with hub_access(anonymous=anonymous):
        return replace(plan, nodes=tuple(map(_bound, plan.nodes)))


def continue_plan(plan: Plan, dataset: Dataset, keys: Collection[str]) -> Plan:
    """Check that a bound plan can go on with a dataset: its rows were made with the same facts.

    Where all of the source's `keys` are done, the plan keeps the facts of the dataset. Raises
    UserError where this machine has others, and DatasetError.
    """
    written = dataset.plan(plan.hash) if any(node.binding for node in plan.nodes) else None
    facts = {node["name"]: node.get("bound") or {} for node in (written or {}).get("nodes", ())}
    problems = list(_differences(plan, facts))
    if not problems:
        return plan
    done = dataset.done(plan.hash)
    if all(done.get(key, "failed") != "failed" for key in keys):
        return replace(plan, nodes=tuple(_with_facts(node, facts) for node in plan.nodes))
    raise UserError(
        f"the rows in {dataset.folder.uri} were made with something else than what is here: "
        f"{'; '.join(problems)}; bring back what they were made with, or make all rows again "
        "with --fresh"
    )


def _bound(node: Node) -> Node:
    if node.op.bind is None:
        return node
    try:
        return replace(node, binding=node.op.bind(node.params, None))
    except (EngineError, ValueError) as error:
        raise UserError(f"node {node.name!r}: {error}") from error


def _with_facts(node: Node, facts: Mapping[str, Mapping[str, str]]) -> Node:
    if node.binding is None:
        return node
    return replace(node, binding=replace(node.binding, facts=facts.get(node.name, {})))


def _differences(plan: Plan, facts: Mapping[str, Mapping[str, str]]) -> Iterator[str]:
    for node in plan.nodes:
        if node.binding is not None:
            before, now = facts.get(node.name, {}), node.binding.facts
            for name in [name for name in before if before[name] != now.get(name)]:
                yield f"node {node.name!r}, {name}: {before[name]} then, {now.get(name)} now"
