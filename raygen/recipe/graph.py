"""Resolve the names in a recipe's graph: ops, engines, inputs, order.

Works on a graph that is wrong in places too, and then finds what else is wrong. Knows nothing of
columns.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.config import Document, did_you_mean, parse_model
from raygen.core import Place, Problem, ProblemsError
from raygen.engines import Api
from raygen.ops import Op, OpParams
from raygen.recipe.schema import NodeSection, Output

SOURCE = "source"
REJECTS = ".rejects"
"""After a node's name: the rows that it drops, as an input of another node or of the output."""


def feeding_node(name: str) -> str:
    """Return the node that an input comes from: `NODE` of `NODE.rejects`."""
    return name.removesuffix(REJECTS)


@dataclass(frozen=True, slots=True)
class ResolvedNode:
    """One node whose op, parameters, inputs and engine are all known to be right."""

    op: Op
    params: OpParams
    inputs: tuple[str, ...]
    engine: str | None


@dataclass(slots=True)
class RecipeGraph:
    """What could be resolved, and the problems of the rest.

    `order` has every node that stands in no cycle, inputs first and otherwise as written.
    """

    nodes: dict[str, ResolvedNode] = field(default_factory=dict)
    order: tuple[str, ...] = ()
    outputs: tuple[str, ...] = ()
    problems: list[Problem] = field(default_factory=list)


def resolve_graph(
    document: Document, ops: Mapping[str, Op], api_of: Callable[[str], Api] | None = None
) -> RecipeGraph:
    """Resolve the graph of a recipe, from its `graph`, `engines` and `output`.

    `api_of` says how an engine is spoken to; without it each one goes on with texts.
    """
    graph = RecipeGraph()
    sections = _sections(document)
    names = _keys(document, "graph")
    engines = _keys(document, "engines")
    edges: dict[str, tuple[str, ...]] = {}
    unknown = len(sections) < len(names)
    used = {section.engine for section in sections.values()}
    for name, section in sections.items():
        problems = list(_name_problems(document, ("graph", name, "from"), section.sources, names))
        unknown = unknown or bool(problems)
        edges[name] = tuple(
            dict.fromkeys(node for node in map(feeding_node, section.sources) if node in names)
        )
        if name.endswith(REJECTS):
            message = f"{REJECTS} after a name means the rows that its node drops; rename {name!r}"
            graph.problems.append(document.problem(("graph", name), message))
        graph.problems += problems
        resolved = _node(document, name, section, ops, api_of or _completion, graph.problems)
        wrong_engine = list(_engine_problems(document, name, section, engines, ops))
        if resolved is not None:
            wrong_engine += _named_engine_problems(document, name, resolved, engines)
            used |= set(resolved.params.engines().values())
        graph.problems += wrong_engine
        if resolved is not None and not problems and not wrong_engine:
            graph.nodes[name] = resolved
    graph.problems += _group_rejects(document, sections, ops)
    cycles = list(_cycles(edges))
    for cycle in cycles:
        message = f"these nodes feed each other in a circle: {' -> '.join(cycle)}"
        graph.problems.append(document.problem(("graph", cycle[0], "from"), message))
    graph.order = tuple(_order(edges))
    output = _output(document)
    if output is not None:
        problems = list(_name_problems(document, ("output", "from"), output.sources, names))
        graph.problems += problems
        graph.outputs = output.sources
        # A name that is misspelt would make what it meant look unused.
        if not unknown and not problems:
            graph.problems += _unused_nodes(document, edges, [*map(feeding_node, output.sources)])
    if len(sections) == len(names) and used - {None} <= set(engines):
        for engine in [name for name in engines if name not in used]:
            message = f"engine {engine!r} is used by no node; remove it, or name it in a node"
            graph.problems.append(document.problem(("engines", engine), message))
    return graph


def _sections(document: Document) -> dict[str, NodeSection]:
    sections = {}
    for name in _keys(document, "graph"):
        try:
            sections[name] = parse_model(document, NodeSection, ("graph", name))
        except ProblemsError:
            continue  # the recipe's own check reports these
    return sections


def _output(document: Document) -> Output | None:
    try:
        return parse_model(document, Output, ("output",))
    except (ProblemsError, KeyError):
        return None


def _keys(document: Document, section: str) -> list[str]:
    value = document.data.get(section)
    # A node named `source` is refused by name; as a node it would only hide the source.
    return [key for key in value if key != SOURCE] if isinstance(value, dict) else []


def _name_problems(
    document: Document, place: Place, sources: Sequence[str], names: Sequence[str]
) -> Iterator[Problem]:
    written = document.data
    for part in place:
        written = written[part]
    for index, source in enumerate(sources):
        here = (*place, index) if isinstance(written, list) else place
        if source != SOURCE and feeding_node(source) not in names:
            hint = did_you_mean(source, [SOURCE, *names])
            yield document.problem(here, f"there is no node {source!r}{hint}")
        elif source in sources[:index]:
            yield document.problem(here, f"{source!r} is named twice")


def _group_rejects(
    document: Document, sections: Mapping[str, NodeSection], ops: Mapping[str, Op]
) -> Iterator[Problem]:
    """Yield problems of inputs that are the rejects of a group op, which belong to no row."""
    output = _output(document)
    places: list[tuple[Place, Sequence[str]]] = [
        (("graph", name, "from"), section.sources) for name, section in sections.items()
    ]
    places += [(("output", "from"), output.sources)] if output else []
    for place, sources in places:
        for node in [feeding_node(each) for each in sources if each.endswith(REJECTS)]:
            op = ops.get(sections[node].op) if node in sections else None
            if op is not None and op.group:
                message = (
                    f"{node!r} gets all rows of a source row together, so what it drops is no one "
                    "row; take the rejects of the nodes before or after it"
                )
                yield document.problem(place, message)


def _node(
    document: Document,
    name: str,
    section: NodeSection,
    ops: Mapping[str, Op],
    api_of: Callable[[str], Api],
    problems: list[Problem],
) -> ResolvedNode | None:
    op = ops.get(section.op)
    if op is None:
        message = f"unknown op {section.op!r}{did_you_mean(section.op, ops)}"
        problems.append(document.problem(("graph", name, "op"), message))
        return None
    here = document.section(("graph", name))
    written = {
        key: value for key, value in here.data.items() if key not in ("op", "from", "engine")
    }
    data: Mapping[str, Any] = _with_defaults(document, section.engine, op, written)
    if document.data.get("version") != 1:
        moved = list(_moved_keys(document, name, written))
        if moved:
            problems += moved
            return None
        data = op.params.with_api_defaults(
            data, lambda engine: api_of(engine or section.engine or "")
        )
    try:
        params = parse_model(Document(here.file, data, here.marks), op.params)
    except ProblemsError as error:
        problems += error.problems
        return None
    return ResolvedNode(op, params, section.sources, section.engine)


def _with_defaults(
    document: Document, engine: str | None, op: Op, written: Mapping[str, Any]
) -> dict[str, Any]:
    """Put an op's parameters over what its engine says of sampling and thinking."""
    engines = document.data.get("engines")
    section = engines.get(engine) if isinstance(engines, dict) and engine else None
    if not isinstance(section, dict):
        return dict(written)
    sampling, thinking = section.get("sampling"), section.get("thinking")
    data: dict[str, Any] = {}
    if isinstance(sampling, dict):
        data |= {name: value for name, value in sampling.items() if name in op.params.model_fields}
    data |= written
    if isinstance(thinking, dict) and "thinking" in op.params.model_fields:
        own = data.get("thinking", {})
        own = {"keep": own} if isinstance(own, str) else own
        data["thinking"] = {**thinking, **own} if isinstance(own, dict) else own
    return data


def _completion(_: str) -> Api:
    return "completion"


def _moved_keys(document: Document, name: str, data: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield problems of parameters that version 2 has on the engine."""
    sections = [((), data), *(((k,), v) for k, v in data.items() if isinstance(v, dict))]
    for place, section in sections:
        if isinstance(section.get("chat"), bool):
            what = "chat" if section["chat"] else "completion"
            message = f"`chat` is of version 1; remove it, and write `api: {what}` at the engine"
            yield document.problem(("graph", name, *place, "chat"), message)
        if section.get("api") in ("auto", "chat", "completion"):
            message = "`api` belongs to the engine; move it there"
            yield document.problem(("graph", name, *place, "api"), message)


def _engine_problems(
    document: Document,
    name: str,
    section: NodeSection,
    engines: Sequence[str],
    ops: Mapping[str, Op],
) -> Iterator[Problem]:
    op = ops.get(section.op)
    if section.engine is None:
        if op is not None and op.needs_engine:
            hint = f"one of: {', '.join(engines)}" if engines else "one under `engines`"
            message = f"op {op.name!r} needs an `engine`; expected {hint}"
            yield document.problem(("graph", name), message)
    elif op is not None and not op.needs_engine:
        message = f"op {op.name!r} uses no engine; remove `engine`"
        yield document.problem(("graph", name, "engine"), message)
    elif section.engine not in engines:
        hint = did_you_mean(section.engine, engines) or "; the recipe has no engines"
        message = f"there is no engine {section.engine!r}{hint}"
        yield document.problem(("graph", name, "engine"), message)


def _named_engine_problems(
    document: Document, name: str, node: ResolvedNode, engines: Sequence[str]
) -> Iterator[Problem]:
    for parameter, engine in node.params.engines().items():
        if engine not in engines:
            hint = did_you_mean(engine, engines) or "; the recipe has no engines"
            message = f"{parameter}: there is no engine {engine!r}{hint}"
            yield document.problem(("graph", name, parameter), message)


def _cycles(edges: Mapping[str, Sequence[str]]) -> Iterator[list[str]]:
    """Yield cycles that together cut every cycle, each in the direction of the rows."""
    done: set[str] = set()
    for start in edges:
        trail: list[str] = []
        stack = [(start, iter(edges[start]))] if start not in done else []
        trail.extend(name for name, _ in stack)
        while stack:
            name, rest = stack[-1]
            source = next(rest, None)
            if source is None:
                stack.pop()
                trail.pop()
                done.add(name)
            elif source in trail:
                circle = trail[trail.index(source) :][::-1]
                first = min(range(len(circle)), key=lambda i: list(edges).index(circle[i]))
                circle = circle[first:] + circle[:first]
                yield [*circle, circle[0]]
            elif source not in done and source in edges:
                trail.append(source)
                stack.append((source, iter(edges[source])))


def _order(edges: Mapping[str, Sequence[str]]) -> Iterator[str]:
    waiting = list(edges)
    placed: set[str] = set()
    while waiting:
        ready = next(
            (n for n in waiting if all(s in placed or s not in edges for s in edges[n])), None
        )
        if ready is None:
            return
        waiting.remove(ready)
        placed.add(ready)
        yield ready


def _unused_nodes(
    document: Document, edges: Mapping[str, Sequence[str]], outputs: Sequence[str]
) -> Iterator[Problem]:
    used: set[str] = set()
    waiting = list(outputs)
    while waiting:
        name = waiting.pop()
        if name not in used:
            used.add(name)
            waiting += edges.get(name, ())
    for name in edges:
        if name not in used:
            message = f"node {name!r} leads to no output; name it in output.from, or remove it"
            yield document.problem(("graph", name), message)
