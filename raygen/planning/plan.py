"""The plan: a recipe with its names resolved, its columns checked and its identity hashed.

Knows nothing of where or how it runs.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from raygen.core import ColumnType, ProblemsError, Task, digest
from raygen.engines import Ability, EngineSpec
from raygen.ops import Binding, Columns, Cost, Op, OpParams, all_ops
from raygen.planning.apis import EngineApis
from raygen.planning.columns import ColumnFlow, check_columns
from raygen.recipe import REJECTS, Recipe, RecipeGraph, ResolvedNode, resolve_graph

PLAN_VERSION = 1


@dataclass(frozen=True, slots=True)
class Node:
    """One node, ready to run. `inputs` are node names, or `source`."""

    name: str
    op: Op
    params: OpParams
    inputs: tuple[str, ...]
    engine: str | None
    reads: tuple[str, ...] = ()
    """The columns that the op and its templates read."""
    adds: Mapping[str, ColumnType] = field(default_factory=dict)
    """The columns that the op adds or replaces."""
    reports: tuple[str, ...] = ()
    """The columns whose values a status counts."""
    identity: str = ""
    """The hash of everything but its inputs that decides what the node makes of a row."""
    cost: Cost = field(default_factory=Cost)
    """What the op costs its engine for one row, if nothing is rejected."""
    abilities: Mapping[str, frozenset[Ability]] = field(default_factory=dict)
    """What each engine of the node must be able to do, by engine name."""
    rejects: Mapping[str, ColumnType] = field(default_factory=dict)
    """The columns that a row of its rejects may have besides those of its input."""
    binding: Binding | None = None
    """What the op needs of a machine, as the driver found it; None before a run binds the plan."""

    @property
    def run_params(self) -> OpParams:
        """The parameters to run the op with; `params` are the recipe's."""
        return self.params if self.binding is None else self.binding.params

    @property
    def all_engines(self) -> tuple[str, ...]:
        """The engines that it calls: its own first, then those of its parameters."""
        names = dict.fromkeys([self.engine or "", *self.params.engines().values()])
        return tuple(filter(None, names))


@dataclass(frozen=True, slots=True)
class Plan:
    """What will run for each source row, and the hash of all that decides what comes out."""

    recipe: str
    task: Task
    nodes: tuple[Node, ...]
    """In topological order."""
    outputs: tuple[str, ...]
    engines: Mapping[str, EngineSpec]
    columns: Mapping[str, ColumnType]
    """The columns of the examples, without their identity columns."""
    hash: str
    max_failed: float
    recipe_version: int = 1
    """The version of the format that the recipe is written in."""

    def shows_api(self, engine: EngineSpec) -> bool:
        """Tell whether it is part of the plan how an engine is spoken to."""
        return self.recipe_version > 1 and engine.api != "auto"

    def to_json(self) -> dict[str, Any]:
        """Convert the plan to `plan.json`: identity and shape, without running conditions."""
        return {
            "version": PLAN_VERSION,
            "hash": self.hash,
            "recipe": self.recipe,
            "task": self.task.name,
            "labels": list(self.task.labels),
            "engines": {
                name: {
                    "model": engine.model,
                    "revision": engine.revision,
                    **({"api": engine.api} if self.shows_api(engine) else {}),
                }
                for name, engine in self.engines.items()
            },
            "nodes": [
                {
                    "name": node.name,
                    "op": node.op.name,
                    "op_version": node.op.version,
                    "from": list(node.inputs),
                    "engine": node.engine,
                    "params": _written(node.params),
                    "identity": node.identity,
                    "reads": list(node.reads),
                    "adds": dict(node.adds),
                    "reports": list(node.reports),
                    **({"rejects": dict(node.rejects)} if node.rejects else {}),
                    **(
                        {"bound": dict(node.binding.facts)}
                        if node.binding and node.binding.facts
                        else {}
                    ),
                }
                for node in self.nodes
            ],
            "outputs": list(self.outputs),
            "columns": dict(self.columns),
            "max_failed": self.max_failed,
        }


def make_plan(
    recipe: Recipe,
    source_columns: Mapping[str, ColumnType],
    ops: Mapping[str, Op] | None = None,
) -> Plan:
    """Make the plan of a recipe over a source with these columns (after the recipe's mapping).

    `ops` is the table of ops, by default every installed one. Raises ProblemsError with all
    problems of graph and columns at once.
    """
    apis = EngineApis(recipe)
    graph = resolve_graph(recipe.document, all_ops() if ops is None else ops, apis)
    engines = apis.engines
    flow = check_columns(recipe.document, graph, recipe.task, source_columns)
    if apis.problems or graph.problems or flow.problems:
        raise ProblemsError([*apis.problems, *graph.problems, *flow.problems])
    wanted = {*graph.outputs, *(each for node in graph.nodes.values() for each in node.inputs)}
    nodes = []
    for name in graph.order:
        node = graph.nodes[name]
        declared = flow.declared[name]
        nodes.append(
            Node(
                name,
                node.op,
                node.params,
                node.inputs,
                node.engine,
                reads=flow.reads[name],
                adds=dict(declared.provides),
                reports=declared.reports,
                rejects=dict(declared.rejects) if name + REJECTS in wanted else {},
                identity=digest(_decisive(engines, node, declared)),
                cost=declared.cost,
                abilities=_abilities(node, declared),
            )
        )
    return Plan(
        recipe=recipe.name,
        task=recipe.task,
        nodes=tuple(nodes),
        outputs=graph.outputs,
        engines=engines,
        columns=flow.examples,
        hash=_hash(recipe, graph, flow),
        max_failed=recipe.output.max_failed,
        recipe_version=recipe.version,
    )


def assumed_columns(recipe: Recipe, ops: Mapping[str, Op]) -> dict[str, ColumnType]:
    """Assume that a source which isn't read has every column that the graph needs of it."""
    task = recipe.task
    mapped: dict[str, ColumnType] = dict.fromkeys(recipe.source.columns, "string")
    graph = resolve_graph(recipe.document, ops, EngineApis(recipe))
    flow = check_columns(recipe.document, graph, task, {**mapped, **task.source_columns})
    made = {name for declared in flow.declared.values() for name in declared.provides}
    read = {name for reads in flow.reads.values() for name in reads} - made
    return {**dict.fromkeys(sorted(read), "string"), **mapped, **task.source_columns}


def _hash(recipe: Recipe, graph: RecipeGraph, flow: ColumnFlow) -> str:
    """Hash what decides the rows, without what only decides how many or where they are made."""
    engines = recipe.engines
    nodes = {
        name: {**_decisive(engines, node, flow.declared[name]), "from": node.inputs}
        for name, node in graph.nodes.items()
    }
    task = (recipe.task.name, recipe.task.labels)
    return digest("plan", PLAN_VERSION, task, recipe.source.decisive, nodes, graph.outputs)


def _decisive(
    engines: Mapping[str, EngineSpec], node: ResolvedNode, declared: Columns
) -> dict[str, Any]:
    """Gather everything that decides what a node makes of a row."""
    # Only where there is any: the hashes of plans that were made before it existed stay the same.
    environment = {"environment": dict(declared.environment)} if declared.environment else {}
    template_args = {
        parameter: dict(engines[engine].template_args)
        for parameter, engine in _engines_of(node).items()
        if engines[engine].template_args
    }
    return {
        "op": node.op.name,
        "version": node.op.version,
        "params": _written(node.params),
        # The prompts as rendered: those of the package too, which no parameter shows.
        "templates": dict(declared.templates),
        "models": {
            parameter: (engines[engine].model, engines[engine].revision)
            for parameter, engine in _engines_of(node).items()
        },
        **environment,
        **({"template_args": template_args} if template_args else {}),
    }


def _engines_of(node: ResolvedNode) -> dict[str, str]:
    """Map each parameter that names an engine, `engine` for the node's own, to that name."""
    return ({"engine": node.engine} if node.engine else {}) | dict(node.params.engines())


def _abilities(node: ResolvedNode, declared: Columns) -> dict[str, frozenset[Ability]]:
    """Map each engine of a node to the abilities it needs; by default the op's own generates."""
    named = declared.abilities
    if node.engine and "engine" not in named:
        named = {**named, "engine": frozenset[Ability]({"generate"})}
    needed: dict[str, frozenset[Ability]] = {}
    for parameter, engine in _engines_of(node).items():
        needed[engine] = needed.get(engine, frozenset()) | named.get(parameter, frozenset())
    return needed


def _written(params: OpParams) -> dict[str, Any]:
    return params.model_dump(mode="json", by_alias=True)
