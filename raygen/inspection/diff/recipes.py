"""Compare two recipes: sections, engines, nodes, prompts, the plan's hash.

A recipe is described first, from its own file or from the dataset that keeps it; the comparison is
pure. Knows nothing of rows.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.core import Change, ProblemsError, Task, changes, flat
from raygen.dataset import DatasetError, storage_errors
from raygen.engines import model_name
from raygen.inspection.opened import OpenedDataset
from raygen.ops import Op, all_ops
from raygen.planning import (
    RECIPE,
    EngineApis,
    RecipeRequest,
    make_plan,
    source_columns,
    stored_recipe,
)
from raygen.recipe import Recipe, feeding_node, load_recipe, resolve_graph
from raygen.sources import SourceError

Fate = Literal["added", "removed", "changed", "after a change"]


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """A node as it is compared: flat facts, and templates by parameter.

    `templates` is None where the op isn't installed in the node's version.
    """

    inputs: tuple[str, ...]
    facts: Mapping[str, Any]
    templates: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class RecipeDescription:
    """A recipe as it is compared: sections without the graph, nodes in order, the plan's hash.

    `reference` is how the user named it. `plan` is None where the source can't be read; `note` says
    why.
    """

    reference: str
    sections: Mapping[str, Any]
    nodes: Mapping[str, NodeDescription]
    plan: str | None
    note: str = ""


def describe_recipe(request: RecipeRequest, reference: str) -> RecipeDescription:
    """Describe a recipe, which the user named by a path or a reference, as plain data.

    Raises UserError and ProblemsError.
    """
    ops = all_ops(request.trusted)
    recipe = load_recipe(
        request.file, ops=ops, fetched=request.fetched, allowed=request.permissions
    )
    graph = resolve_graph(recipe.document, ops, EngineApis(recipe))
    if graph.problems:
        raise ProblemsError(graph.problems)
    try:
        plan = make_plan(
            recipe,
            source_columns(recipe),
            ops,
        ).hash
        note = ""
    except SourceError as error:
        plan, note = None, f"{reference} has no plan's hash: {error}"
    models = {name: model_name(e.model, e.revision) for name, e in recipe.engines.items()}
    nodes = {}
    for name in graph.order:
        node = graph.nodes[name]
        written = node.params.model_dump(mode="json", by_alias=True)
        head = _head(node.op.name, node.op.version, node.engine, models)
        templates = _templates(node.op, written, recipe.task)
        nodes[name] = _node_description(node.inputs, head, written, templates)
    return RecipeDescription(reference, _sections(recipe), nodes, plan, note)


def describe_stored(dataset: OpenedDataset, ops: Mapping[str, Op]) -> RecipeDescription:
    """Describe the recipe and the plan stored in a dataset. Raises DatasetError, ProblemsError."""
    folder, plan = dataset.folder, dataset.plan
    with storage_errors("look for the recipe", folder.join(RECIPE)):
        is_there = folder.exists(RECIPE)
    if not is_there:
        raise DatasetError(
            f"{folder.uri} has no recipe of its rows; it appears with the first rows of a run"
        )
    _, filled = stored_recipe(folder)
    models = {name: model_name(e["model"], e["revision"]) for name, e in plan["engines"].items()}
    nodes = {}
    for node in plan["nodes"]:
        head = _head(node["op"], node["op_version"], node["engine"], models)
        op = ops.get(node["op"])
        same = op is not None and op.version == node["op_version"]
        templates = _templates(op, node["params"], dataset.task) if op and same else None
        nodes[node["name"]] = _node_description(
            tuple(node["from"]), head, node["params"], templates
        )
    sections = {k: v for k, v in filled.data.items() if k not in ("graph", "version")}
    return RecipeDescription(folder.uri, sections, nodes, plan["hash"])


def _sections(recipe: Recipe) -> dict[str, Any]:
    """Select the sections with params filled in, and the student as it would be frozen."""
    data = {**recipe.document.data}
    if "train" in data:
        data["train"] = recipe.written["train"]
    return {name: value for name, value in data.items() if name not in ("graph", "version")}


def _head(op: str, version: int, engine: str | None, models: Mapping[str, str]) -> dict[str, Any]:
    head: dict[str, Any] = {"op": op, "op version": version}
    return {**head, "engine": engine, "model": models.get(engine)} if engine else head


def _node_description(
    inputs: tuple[str, ...],
    head: Mapping[str, Any],
    params: Mapping[str, Any],
    templates: Mapping[str, str] | None,
) -> NodeDescription:
    """Describe a node, its parameters flattened but for templates, which are compared as texts."""
    plain = {key: value for key, value in flat(params) if key not in (templates or {}) and key}
    return NodeDescription(inputs, {**head, "from": list(inputs), **plain}, templates)


def _templates(op: Op, params: Mapping[str, Any], task: Task) -> Mapping[str, str] | None:
    """Collect a node's templates, defaults included; None where its parameters don't parse."""
    try:
        return dict(op.columns(op.params.read_back(params), task).templates)
    except ValueError:
        return None  # parameters written by another raygen for the same version of the op


@dataclass(frozen=True, slots=True)
class NodeDiff:
    """A node that differs; `after a change` means that the node is equal and an input isn't."""

    name: str
    fate: Fate
    facts: tuple[Change, ...] = ()
    prompts: tuple[Change, ...] = ()


@dataclass(frozen=True, slots=True)
class RecipeDiff:
    """The differences between two recipes; whatever is equal is left out.

    `references` are the recipes as the user named them, `plans` their plans' hashes, None where a
    source can't be read. `sections` are changes by section.
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
        """Convert the differences to JSON."""
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
    """Compare two recipes.

    `stored` says that one side is a dataset's recipe, which has no variants: they aren't compared.
    """
    left_out = {"variants"} if stored else set()
    names = [name for name in dict.fromkeys([*a.sections, *b.sections]) if name not in left_out]
    sections = {
        name: section
        for name in names
        if (section := changes({name: a.sections.get(name)}, {name: b.sections.get(name)}))
    }
    notes = tuple(note for note in (a.note, b.note) if note)
    return RecipeDiff(
        (a.reference, b.reference), (a.plan, b.plan), sections, _node_diffs(a, b), notes
    )


def _node_diffs(a: RecipeDescription, b: RecipeDescription) -> tuple[NodeDiff, ...]:
    removed = [
        NodeDiff(name, "removed", changes(node.facts, {}), _prompt_changes(node.templates, {}))
        for name, node in a.nodes.items()
        if name not in b.nodes
    ]
    diffs: dict[str, NodeDiff] = {}
    for name, node in b.nodes.items():  # inputs come first
        if (diff := _node_diff(name, a.nodes.get(name), node)) is not None:
            diffs[name] = diff
        elif any(feeding_node(parent) in diffs for parent in node.inputs):
            diffs[name] = NodeDiff(name, "after a change")
    return (*removed, *diffs.values())


def _node_diff(name: str, old: NodeDescription | None, new: NodeDescription) -> NodeDiff | None:
    if old is None:
        return NodeDiff(name, "added", changes({}, new.facts), _prompt_changes({}, new.templates))
    facts, prompts = changes(old.facts, new.facts), _prompt_changes(old.templates, new.templates)
    return NodeDiff(name, "changed", facts, prompts) if facts or prompts else None


def _prompt_changes(
    old: Mapping[str, str] | None, new: Mapping[str, str] | None
) -> tuple[Change, ...]:
    """Compare prompts; no changes where a side's prompts aren't known."""
    return () if old is None or new is None else changes(old, new)
