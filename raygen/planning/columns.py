"""Check how columns flow through a graph: what each node gets, reads and adds, without a row.

Knows nothing of engines or files.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from raygen.config import Document, nearest
from raygen.core import ColumnType, Place, Problem, Task, TemplateError, template_fields
from raygen.dataset import IDENTITY
from raygen.ops import Columns
from raygen.recipe import REJECTS, SOURCE, RecipeGraph, ResolvedNode

Types = Mapping[str, ColumnType]

REJECT_COLUMNS: Types = {"reject_reason": "string", "reject_detail": "string"}
"""The columns that the rows of `NODE.rejects` have besides the node's input."""


@dataclass(slots=True)
class ColumnFlow:
    """By node, what it reads and declares; and the examples' columns but for their identity."""

    reads: dict[str, tuple[str, ...]] = field(default_factory=dict)
    declared: dict[str, Columns] = field(default_factory=dict)
    examples: dict[str, ColumnType] = field(default_factory=dict)
    problems: list[Problem] = field(default_factory=list)


def check_columns(document: Document, graph: RecipeGraph, task: Task, source: Types) -> ColumnFlow:
    """Follow the columns from the source to the outputs.

    `source` are the source's columns after its mapping. A node that isn't resolved is left out, and
    so are those that it feeds: their columns can't be known.
    """
    flow = ColumnFlow()
    flow.problems += _task_problems(document, task, source)
    usable = {name: type_ for name, type_ in source.items() if name not in IDENTITY}
    emitted: dict[str, Types] = {SOURCE: {**usable, **task.source_columns}}
    carried = dict(emitted)
    for name in graph.order:
        node = graph.nodes.get(name)
        if node is None or any(each not in emitted for each in node.inputs):
            continue
        readable = _meet([emitted[each] for each in node.inputs])
        brought, problems = _union(document, name, {each: carried[each] for each in node.inputs})
        flow.problems += problems
        try:
            columns = node.op.columns(node.params, task)
        except ValueError as error:
            flow.problems.append(document.problem(("graph", name), str(error)))
            continue
        reads, problems = _reads(document, name, columns, readable, emitted)
        flow.problems += problems
        flow.problems += _reserved(document, name, node, columns)
        flow.reads[name] = reads
        flow.declared[name] = columns
        emitted[name] = {**readable, **columns.provides}
        carried[name] = {**brought, **columns.provides}
        dropped: Types = {**columns.rejects, **REJECT_COLUMNS}
        emitted[name + REJECTS] = {**readable, **dropped}
        carried[name + REJECTS] = {**brought, **dropped}
    origin: dict[str, str] = {}
    for output in graph.outputs:
        for column, type_ in carried.get(output, {}).items():
            known = flow.examples.setdefault(column, type_)
            first = origin.setdefault(column, output)
            if known != type_:
                message = (
                    f"column {column!r} is of type {known} from {first!r} and of type {type_} "
                    f"from {output!r}; expected one type in all outputs"
                )
                flow.problems.append(document.problem(("output", "from"), message))
    return flow


def _task_problems(document: Document, task: Task, source: Types) -> Iterator[Problem]:
    for column in task.source_columns:
        if column not in source:
            guess = nearest(column, source) or "..."
            message = (
                f"task {task.name} needs column {column!r}, which the source doesn't have "
                f"(it has {_listed(source)}); map it: columns: {{{column}: {guess}}}"
            )
            yield document.problem(("source", "columns"), message)


def _meet(inputs: Sequence[Types]) -> Types:
    """Intersect the columns of all inputs: those that a node may read."""
    first, *others = inputs
    return {column: type_ for column, type_ in first.items() if all(column in o for o in others)}


def _union(
    document: Document, name: str, inputs: Mapping[str, Types]
) -> tuple[Types, list[Problem]]:
    """Unite the columns of all inputs: a row carries its own along, to the examples."""
    brought: dict[str, ColumnType] = {}
    origin: dict[str, str] = {}
    problems = []
    for source, types in inputs.items():
        for column, type_ in types.items():
            known = brought.setdefault(column, type_)
            first = origin.setdefault(column, source)
            if known != type_:
                message = (
                    f"column {column!r} is of type {known} from {first!r} and of type {type_} "
                    f"from {source!r}; expected one type from all inputs"
                )
                problems.append(document.problem(("graph", name, "from"), message))
    return brought, problems


def _reads(
    document: Document, name: str, columns: Columns, readable: Types, emitted: Mapping[str, Types]
) -> tuple[tuple[str, ...], list[Problem]]:
    problems = []
    reads = set(columns.requires)
    for column in sorted(columns.requires - set(readable)):
        message = f"node {name!r} needs column {column!r}, {_absent(column, readable, emitted)}"
        problems.append(document.problem(("graph", name), message))
    for parameter, text in columns.templates.items():
        place = _place(document, name, parameter)
        try:
            fields_read = template_fields(text)
        except TemplateError as error:
            problems.append(document.problem(place, f"{parameter}: {error}"))
            continue
        for column in sorted(fields_read - columns.given):
            if column in columns.hides:
                message = (
                    f"{parameter} reads {column!r}, which node {name!r} hides: the target would "
                    "leak into the prompt; take it out of the template"
                )
                problems.append(document.problem(place, message))
            elif column not in readable:
                message = f"{parameter} reads {column!r}, {_absent(column, readable, emitted)}"
                problems.append(document.problem(place, message))
            reads.add(column)
    return tuple(sorted(reads)), problems


def _reserved(
    document: Document, name: str, node: ResolvedNode, columns: Columns
) -> Iterator[Problem]:
    for column in IDENTITY:
        if column in columns.provides:
            message = f"op {node.op.name!r} can't set {column!r}: examples have their own"
            yield document.problem(("graph", name), message)


def _absent(column: str, readable: Types, emitted: Mapping[str, Types]) -> str:
    if column in IDENTITY:
        return (
            f"a name that the dataset keeps for itself; give the source's column another one: "
            f"source.columns: {{source_{column}: {column}}}"
        )
    guess = nearest(column, readable)
    if guess is not None:
        return f"which is not there; did you mean {guess!r}?"
    makers = [name for name, types in emitted.items() if column in types]
    hint = f"; {' and '.join(map(repr, makers))} would have it" if makers else ""
    return f"which is not there (there are {_listed(readable)}){hint}"


def _place(document: Document, name: str, parameter: str) -> Place:
    parts = [int(part) if part.isdecimal() else part for part in parameter.split(".")]
    return ("graph", name, *parts)


def _listed(columns: Sequence[str] | Types) -> str:
    return ", ".join(sorted(columns)) or "none"
