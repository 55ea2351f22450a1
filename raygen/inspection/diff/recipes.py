"""Compare two recipes: sections, engines, nodes, prompts, the plan's hash.

Pure functions. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.core import Change, changes
from raygen.inspection.diff.description import NodeDescription, RecipeDescription

Fate = Literal["added", "removed", "changed", "after a change"]


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """A node that differs; `after a change` means that only one of its inputs does."""

    name: str
    fate: Fate
    facts: tuple[Change, ...] = ()
    prompts: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeDiff:
    """The differences between two recipes; what is the same is left out.

    `references` are the paths or references by which the user named them.
    """

    references: tuple[str, str]
    plans: tuple[str | None, str | None]
    sections: Mapping[str, tuple[Change, ...]]
    nodes: tuple[NodeDiff, ...]
    notes: tuple[str, ...] = ()

    @property
    def same(self) -> bool:
        """Whether nothing differs."""
        return not self.sections and not self.nodes and self.plans[0] == self.plans[1]

    def to_json(self) -> dict[str, Any]:
        """Return the differences for a program."""
        return {
            "a": self.references[0],
            "b": self.references[1],
            "same": self.same,
            "plans": list(self.plans),
            "sections": {
                name: [change.to_json() for change in section]
                for name, section in self.sections.items()
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


def compare_recipes(
    a: RecipeDescription, b: RecipeDescription, *, stored: bool = False
) -> RecipeDiff:
    """Compare two recipes. With `stored` one is a dataset's, which keeps no variants."""
    left_out = {"variants"} if stored else set()
    names = [name for name in dict.fromkeys([*a.sections, *b.sections]) if name not in left_out]
    sections = {
        name: section
        for name in names
        if (section := changes({name: a.sections.get(name)}, {name: b.sections.get(name)}))
    }
    notes = tuple(note for note in (a.note, b.note) if note)
    return RecipeDiff((a.reference, b.reference), (a.plan, b.plan), sections, _nodes(a, b), notes)


def _nodes(a: RecipeDescription, b: RecipeDescription) -> tuple[NodeDiff, ...]:
    removed = [
        NodeDiff(name, "removed", changes(node.facts, {}), _prompts(node.templates, {}))
        for name, node in a.nodes.items()
        if name not in b.nodes
    ]
    diffs: dict[str, NodeDiff] = {}
    for name, node in b.nodes.items():  # inputs come first
        if (diff := _node(name, a.nodes.get(name), node)) is not None:
            diffs[name] = diff
        elif any(parent in diffs for parent in node.inputs):
            diffs[name] = NodeDiff(name, "after a change")
    return (*removed, *diffs.values())


def _node(name: str, old: NodeDescription | None, new: NodeDescription) -> NodeDiff | None:
    if old is None:
        return NodeDiff(name, "added", changes({}, new.facts), _prompts({}, new.templates))
    facts, prompts = changes(old.facts, new.facts), _prompts(old.templates, new.templates)
    return NodeDiff(name, "changed", facts, prompts) if facts or prompts else None


def _prompts(old: Mapping[str, str] | None, new: Mapping[str, str] | None) -> tuple[Change, ...]:
    """Compare prompts; nothing where one side's aren't known."""
    return () if old is None or new is None else changes(old, new)
