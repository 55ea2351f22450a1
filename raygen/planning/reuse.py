"""Reuse: what a dataset's recorded calls are worth to an edited plan.

A statement about plans, made before anything runs: a node whose op, parameters, prompts and models
are as they were, like those of all nodes before it, asks what it asked before. Elsewhere a call
comes back too where its prompt happens to be the same. Knows nothing of how calls are answered.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.core import count, plural
from raygen.dataset import Dataset, Folder
from raygen.planning.plan import Plan
from raygen.recipe import SOURCE

Change = Literal["same", "after a change", "changed", "new"]
"""What an edit did to a node: `same` is what comes back whole."""


@dataclass(frozen=True, slots=True)
class Reuse:
    """What an output folder has for a plan that isn't its own.

    `nodes` says of each node of the plan what the edit did to it, empty where the old plan isn't
    known; `calls` counts the recorded calls by node.
    """

    nodes: Mapping[str, Change]
    calls: Mapping[str, int]

    @property
    def recorded(self) -> int:
        """All calls that are on record."""
        return sum(self.calls.values())

    @property
    def reusable(self) -> int:
        """The recorded calls of the nodes that are the same."""
        return sum(n for name, n in self.calls.items() if self.nodes.get(name) == "same")

    def words(self) -> str:
        """The reuse in a sentence or two, for people."""
        if not self.calls:
            return "no calls are recorded there, so none can be reused"
        if not self.nodes:
            return (
                f"{plural(self.recorded, 'call')} are recorded; those whose prompts are the same "
                "are reused and not paid for again"
            )
        changed = [name for name, change in self.nodes.items() if change != "same"]
        steps = f"; changed, or after a change: {', '.join(changed)}" if changed else ""
        return (
            f"{count(self.reusable)} of {plural(self.recorded, 'recorded call')} are of steps that "
            f"are the same: they are reused and not paid for again{steps}"
        )


def compare_plans(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Change]:
    """What an edit did to each node of the `new` plan; both as in plan.json."""
    before = {node["name"]: node for node in old["nodes"]}
    same_task = all(old.get(key) == new.get(key) for key in ("task", "labels"))
    found: dict[str, Change] = {}
    for node in new["nodes"]:
        name = node["name"]
        known = before.get(name)
        if known is None:
            found[name] = "new"
        elif not same_task or any(known.get(k) != node.get(k) for k in ("identity", "from")):
            found[name] = "changed"
        else:
            whole = all(each == SOURCE or found.get(each) == "same" for each in node["from"])
            found[name] = "same" if whole else "after a change"
    return found


def find_reuse(folder: Folder, plan: Plan) -> Reuse | None:
    """What an output folder has for a plan; None where it has no rows of another plan.

    Raises DatasetError.
    """
    dataset = Dataset(folder)
    others = dataset.plans() - {plan.hash}
    if not others:
        return None
    (other,) = others  # the first commit of a plan takes all others out
    written = dataset.plan(other)
    calls: dict[str, int] = {}
    for node, _, number, *_ in dataset.calls(other):
        calls[node] = calls.get(node, 0) + number
    return Reuse(compare_plans(written, plan.to_json()) if written else {}, calls)
