"""Predict which of a dataset's recorded calls an edited plan will reuse, from the two plans.

A node whose op, parameters, prompts and models are unchanged, like those of all nodes before it,
makes the same calls again; one that asks for another number of samples has those calls among its
own. Elsewhere a call is reused too where its prompt happens to be the same. Knows nothing of how
calls are answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.core import count, plural
from raygen.dataset import Dataset, Folder
from raygen.planning.plan import Plan
from raygen.recipe import SOURCE, feeding_node

Change = Literal["same", "another number", "after a change", "changed", "new"]
"""What an edit did to a node; all calls are reused of one that is `same`, and of one that asks for
`another number` of samples those that are still asked for."""

_REUSED: frozenset[Change] = frozenset({"same", "another number"})
_NUMBERS = frozenset({"n", "samples", "attempts"})
"""Parameters that say how often a node asks, and not what."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """The recorded calls of an older plan, seen from the plan that replaces it.

    `nodes` says what the edit did to each node, empty where the old plan isn't known; `calls`
    counts the recorded calls by node.
    """

    nodes: Mapping[str, Change]
    calls: Mapping[str, int]

    @property
    def recorded(self) -> int:
        """All recorded calls."""
        return sum(self.calls.values())

    @property
    def reusable(self) -> int:
        """The recorded calls of the nodes that are the same, but for how often they ask."""
        return sum(n for name, n in self.calls.items() if self.nodes.get(name) in _REUSED)

    def words(self) -> str:
        """Describe the reuse in a sentence or two, for people."""
        if not self.calls:
            return "no calls are recorded there, so none can be reused"
        if not self.nodes:
            return (
                f"{plural(self.recorded, 'call')} are recorded; those whose prompts are the same "
                "are reused and not paid for again"
            )
        changed = [name for name, change in self.nodes.items() if change not in _REUSED]
        steps = f"; changed, or after a change: {', '.join(changed)}" if changed else ""
        return (
            f"{count(self.reusable)} of {plural(self.recorded, 'recorded call')} are of steps that "
            f"are the same: they are reused and not paid for again{steps}"
        )


def compare_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Change]:
    """Tell what an edit did to each node of the `new` plan; both are as in plan.json."""
    before = {node["name"]: node for node in old["nodes"]}
    same_task = all(old.get(key) == new.get(key) for key in ("task", "labels"))
    changes: dict[str, Change] = {}
    for node in new["nodes"]:
        known = before.get(node["name"])
        change: Change = "new" if known is None else _change(known, node)
        if change != "new" and not same_task:
            change = "changed"
        elif change in _REUSED:
            if any(
                changes.get(feeding_node(each)) != "same" for each in node["from"] if each != SOURCE
            ):
                change = "after a change"
            elif change == "another number" and old.get("engines") != new.get("engines"):
                change = "changed"
        changes[node["name"]] = change
    return changes


def _change(known: Mapping[str, Any], node: Mapping[str, Any]) -> Change:
    """Compare a node of two plan.json by itself."""
    if known.get("from") != node.get("from"):
        return "changed"
    if known.get("identity") == node.get("identity"):
        return "same"
    (was, asked), (now, asks) = _split(known), _split(node)
    return "another number" if was == now and asked != asks else "changed"


def _split(node: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, Any]]:
    """Split a node into what it asks, and how often."""
    params = node.get("params", {})
    numbers = {name: value for name, value in params.items() if name in _NUMBERS}
    rest = {name: value for name, value in params.items() if name not in _NUMBERS}
    return {**{name: node.get(name) for name in ("op", "op_version", "engine")}, **rest}, numbers


def find_reuse(folder: Folder, plan: Plan) -> Reuse | None:
    """Find what a plan can reuse of a dataset; None where that has no rows of another plan.

    Raises DatasetError.
    """
    dataset = Dataset(folder)
    others = dataset.plans() - {plan.hash}
    if not others:
        return None
    (other,) = others  # the first commit of a plan takes all others out
    written = dataset.plan(other)
    calls: dict[str, int] = {}
    for made in dataset.calls(other):
        calls[made.node] = calls.get(made.node, 0) + made.calls
    return Reuse(compare_plans(written, plan.to_json()) if written else {}, calls)
