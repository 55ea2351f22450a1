"""What is different between two recipes: sections, engines, nodes, prompts, the plan's hash.

Pure functions. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.comparing.change import Change, changes
from raygen.comparing.described import Described, DescribedNode

Fate = Literal["added", "removed", "changed", "after a change"]


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """A node that isn't the same; `after a change` is one that is, behind one that is not."""

    name: str
    fate: Fate
    facts: tuple[Change, ...] = ()
    prompts: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeDiff:
    """What is different between two recipes; nothing stands for what is the same."""

    places: tuple[str, str]
    plans: tuple[str | None, str | None]
    sections: Mapping[str, tuple[Change, ...]]
    nodes: tuple[NodeDiff, ...]
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing is different."""
        return not self.sections and not self.nodes and self.plans[0] == self.plans[1]

    def to_json(self) -> dict[str, Any]:
        """The differences as a JSON object."""
        return {
            "a": self.places[0],
            "b": self.places[1],
            "same": self.same,
            "plans": list(self.plans),
            "sections": {
                name: [change.to_json() for change in found]
                for name, found in self.sections.items()
            },
            "nodes": [
                {
                    "node": node.name,
                    "fate": node.fate,
                    "parameters": [change.to_json() for change in node.facts],
                    "prompts": [change.to_json() for change in node.prompts],
                }
                for node in self.nodes
            ],
            "notes": list(self.notes),
        }


def compare_recipes(a: Described, b: Described, *, stored: bool = False) -> RecipeDiff:
    """What is different in `b`. With `stored` one is a dataset's, which keeps no variants."""
    left_out = {"variants"} if stored else set()
    names = [name for name in dict.fromkeys([*a.sections, *b.sections]) if name not in left_out]
    sections = {
        name: found
        for name in names
        if (found := changes({name: a.sections.get(name)}, {name: b.sections.get(name)}))
    }
    notes = tuple(note for note in (a.note, b.note) if note)
    return RecipeDiff((a.place, b.place), (a.plan, b.plan), sections, _nodes(a, b), notes)


def _nodes(a: Described, b: Described) -> tuple[NodeDiff, ...]:
    removed = [
        NodeDiff(name, "removed", changes(node.facts, {}), _prompts(node.templates, {}))
        for name, node in a.nodes.items()
        if name not in b.nodes
    ]
    found: dict[str, NodeDiff] = {}
    for name, node in b.nodes.items():  # inputs come first
        if (diff := _node(name, a.nodes.get(name), node)) is not None:
            found[name] = diff
        elif any(each in found for each in node.inputs):
            found[name] = NodeDiff(name, "after a change")
    return (*removed, *found.values())


def _node(name: str, old: DescribedNode | None, new: DescribedNode) -> NodeDiff | None:
    if old is None:
        return NodeDiff(name, "added", changes({}, new.facts), _prompts({}, new.templates))
    facts, prompts = changes(old.facts, new.facts), _prompts(old.templates, new.templates)
    return NodeDiff(name, "changed", facts, prompts) if facts or prompts else None


def _prompts(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> tuple[Change, ...]:
    """Where one side's prompts aren't known, nothing can be said of them."""
    return () if old is None or new is None else changes(old, new)
