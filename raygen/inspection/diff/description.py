"""Describe a recipe for comparison: a recipe's own file, or the one that a dataset keeps.

Knows nothing of the comparison.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from raygen.core import ProblemsError, Task, flat
from raygen.dataset import DatasetError
from raygen.engines import model_name
from raygen.inspection.opened import OpenedDataset
from raygen.ops import Op
from raygen.planning import RECIPE, make_plan, stored_recipe
from raygen.recipe import Recipe, load_recipe, resolve_graph
from raygen.recipe.remote import find_recipe, recipe_in
from raygen.sources import SourceError, scan_columns


@dataclass(frozen=True, slots=True)
class NodeDescription:
    """A node: flat facts, and its templates by parameter, None where its op isn't installed."""

    inputs: tuple[str, ...]
    facts: Mapping[str, Any]
    templates: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class RecipeDescription:
    """A recipe: its sections but for the graph, its nodes in order, and its plan's hash.

    `reference` is how the user named it.
    """

    reference: str
    sections: Mapping[str, Any]
    nodes: Mapping[str, NodeDescription]
    plan: str | None
    note: str = ""


def describe_recipe(reference: str, ops: Mapping[str, Op]) -> RecipeDescription:
    """Describe the recipe at a path or a reference. Without its source it has no plan's hash.

    Raises UserError and ProblemsError.
    """
    path, fetched = find_recipe(reference)
    recipe = load_recipe(recipe_in(path), ops=ops, fetched=fetched)
    graph = resolve_graph(recipe.document, ops)
    if graph.problems:
        raise ProblemsError(graph.problems)
    try:
        plan = make_plan(recipe, scan_columns(recipe.source, recipe.source_base), ops).hash
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
        nodes[name] = _node(node.inputs, head, written, templates)
    return RecipeDescription(reference, _sections(recipe), nodes, plan, note)


def describe_stored(dataset: OpenedDataset, ops: Mapping[str, Op]) -> RecipeDescription:
    """Describe the recipe and the plan in a dataset. Raises DatasetError and ProblemsError."""
    folder, plan = dataset.folder, dataset.plan
    if not folder.exists(RECIPE):
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
        nodes[node["name"]] = _node(tuple(node["from"]), head, node["params"], templates)
    sections = {k: v for k, v in filled.data.items() if k not in ("graph", "version")}
    return RecipeDescription(folder.uri, sections, nodes, plan["hash"])


def _sections(recipe: Recipe) -> dict[str, Any]:
    """Return the filled sections; the student as it would be frozen, from a file or not."""
    data = {**recipe.document.data}
    if "train" in data:
        data["train"] = recipe.written["train"]
    return {name: value for name, value in data.items() if name not in ("graph", "version")}


def _head(op: str, version: int, engine: str | None, models: Mapping[str, str]) -> dict[str, Any]:
    head: dict[str, Any] = {"op": op, "op version": version}
    return {**head, "engine": engine, "model": models.get(engine)} if engine else head


def _node(
    inputs: tuple[str, ...],
    head: Mapping[str, Any],
    params: Mapping[str, Any],
    templates: Mapping[str, str] | None,
) -> NodeDescription:
    """Leave templates out of the flat parameters; they are compared as texts."""
    plain = {key: value for key, value in flat(params) if key not in (templates or {}) and key}
    return NodeDescription(inputs, {**head, "from": list(inputs), **plain}, templates)


def _templates(op: Op, params: Mapping[str, Any], task: Task) -> Mapping[str, str] | None:
    """Return the templates of a node, its op's defaults among them."""
    try:
        return dict(op.columns(op.params.read_back(params), task).templates)
    except ValueError:
        return None  # an op of the same version that another raygen wrote
