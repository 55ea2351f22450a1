"""Predict which of a dataset's recorded calls an edited plan will reuse, from the two plans.

A node whose op, parameters, prompts and models are unchanged, like those of all nodes before it,
makes the same calls again. Elsewhere a call is reused too where its prompt happens to be the same.
 Knows nothing of how calls are answered.
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
"""What an edit did to a node; all calls of one that is `same` are reused."""


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
        """The recorded calls of the nodes that are the same."""
        return sum(n for name, n in self.calls.items() if self.nodes.get(name) == "same")

    def words(self) -> str:
        """Describe the reuse in a sentence or two, for people."""
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
    """Tell what an edit did to each node of the `new` plan; both are as in plan.json."""
    before = {node["name"]: node for node in old["nodes"]}
    same_task = all(old.get(key) == new.get(key) for key in ("task", "labels"))
    changes: dict[str, Change] = {}
    for node in new["nodes"]:
        name = node["name"]
        known = before.get(name)
        if known is None:
            changes[name] = "new"
        elif not same_task or any(known.get(k) != node.get(k) for k in ("identity", "from")):
            changes[name] = "changed"
        else:
            same = all(each == SOURCE or changes.get(each) == "same" for each in node["from"])
            changes[name] = "same" if same else "after a change"
    return changes


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
