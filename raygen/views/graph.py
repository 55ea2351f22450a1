"""Render the graph of a plan: as a tree in the terminal, as Mermaid, as an SVG picture.

Knows nothing of files.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined
from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from raygen.core import visible, visible_line
from raygen.inspection import Vertex, make_layers, place_vertices
from raygen.planning import AnyNode, AnyPlan
from raygen.recipe import SOURCE, feeding_node
from raygen.views.tables import one_line

DATASET = "dataset"
_GAP_X, _GAP_Y, _MARGIN, _LINE, _TIP = 28.0, 46.0, 16.0, 17.0, 6.0
_WIDEST = 34
"""The most characters of the line that lists columns."""
_LETTERS = {"name": 7.6, "op": 6.4, "adds": 5.9}
"""The width of a letter in each kind of line, in pixels of the drawing."""
_PALETTE = ("#2f6fdb", "#b5552b", "#2b8a5f", "#8a4fbf", "#a8811b", "#b03a6f")


def graph_view(plan: AnyPlan) -> RenderableType:
    """Render the graph as a tree from the source; a node is placed under the last of its inputs."""
    order = {name: index for index, name in enumerate([SOURCE, *(n.name for n in plan.nodes)])}
    below: dict[str, list[AnyNode]] = defaultdict(list)
    for node in plan.nodes:
        below[max(map(feeding_node, node.inputs), key=order.__getitem__)].append(node)
    tree = Tree(Text(SOURCE, style="bold"), guide_style="dim")
    _grow(tree, SOURCE, below, plan)
    kept = " and ".join(plan.outputs) if len(plan.outputs) < 3 else f"{len(plan.outputs)} nodes"
    foot = Text(f"◆ its rows become the dataset: {kept}", style="dim")
    head = one_line(Text.assemble((plan.recipe, "bold"), f", {plan.task.name}"))
    return Group(head, tree, one_line(foot))


def _grow(tree: Tree, name: str, below: Mapping[str, list[AnyNode]], plan: AnyPlan) -> None:
    for node in below.get(name, []):
        label = Text.assemble((node.name, "bold"), f"  {node.op.name}")
        if engines := engines_of(node):
            label.append(f" · {engines}", style="cyan")
        others = [other for other in node.inputs if other != name]
        if others:
            label.append(f"  (and from {', '.join(others)})", style="dim")
        if node.name in plan.outputs:
            label.append("  ◆", style="green")
        _grow(tree.add(one_line(label)), node.name, below, plan)


def engines_of(node: AnyNode) -> str:
    """List the engines that a node calls."""
    return ", ".join(node.all_engines)


def mermaid(plan: AnyPlan) -> str:
    """Format the graph as a Mermaid flowchart, which GitHub and notebooks draw."""
    boxes = []
    for node in plan.nodes:
        engines = engines_of(node)
        line = node.op.name + (f" · {engines}" if engines else "")
        boxes.append(Box(node.name, (line,), node.inputs))
    return flowchart(boxes, plan.outputs)


def is_drawing(text: str, suffix: str) -> bool:
    """Tell whether a file's text is a graph that was drawn here, as SVG or as Mermaid."""
    if suffix == ".svg":
        return "<title>The graph of " in text.partition("<style>")[0]
    return text.startswith("flowchart TD\n  source([source])\n")


@dataclass(frozen=True, slots=True)
class Box:
    """A node of a Mermaid flowchart: its name, lines of text below it, and its inputs."""

    name: str
    lines: Sequence[str]
    inputs: Sequence[str]


def flowchart(boxes: Sequence[Box], outputs: Sequence[str]) -> str:
    """Format boxes between the source and the dataset as a Mermaid flowchart."""
    ids = {SOURCE: "source", DATASET: "dataset"}
    ids |= {box.name: f"n{index}" for index, box in enumerate(boxes)}
    lines = ["flowchart TD", "  source([source])"]
    for box in boxes:
        name, *more = map(_in_label, (box.name, *box.lines))
        label = "<br>".join((f"<b>{name}</b>", *more))
        lines.append(f'  {ids[box.name]}["{label}"]')
    lines.append("  dataset[(dataset)]")
    inputs = [(box.name, box.inputs) for box in boxes]
    lines += [f"  {ids[start]} --> {ids[end]}" for start, end in _edges(inputs, outputs)]
    return "\n".join(lines) + "\n"


def _in_label(text: str) -> str:
    """Escape a text for a label in quotes, which Mermaid reads as HTML."""
    return re.sub(r"[&<>\"'`#\\\[\](){}|]", _entity, visible_line(text))


def _entity(match: re.Match[str]) -> str:
    return f"#{ord(match[0])};"


def edges(plan: AnyPlan) -> list[tuple[str, str]]:
    """List the edges of the graph as (from, to)."""
    return _edges([(node.name, node.inputs) for node in plan.nodes], plan.outputs)


def _edges(
    nodes: Sequence[tuple[str, Sequence[str]]], outputs: Sequence[str]
) -> list[tuple[str, str]]:
    inner = [(source, name) for name, inputs in nodes for source in _nodes_of(inputs)]
    return inner + [(name, DATASET) for name in _nodes_of(outputs)]


def _nodes_of(inputs: Sequence[str]) -> list[str]:
    """List the nodes that rows come from, whether they keep or drop them."""
    return list(dict.fromkeys(map(feeding_node, inputs)))


@dataclass(frozen=True, slots=True)
class _PlacedBox:
    """The drawn box of a node: (kind, text) of each line, and the colour of its engine."""

    kind: str
    lines: tuple[tuple[str, str], ...]
    colour: str | None = None

    @property
    def width(self) -> float:
        """The width that the longest line needs."""
        return 32 + max(len(text) * _LETTERS[kind] for kind, text in self.lines)

    @property
    def height(self) -> float:
        """The height that the lines need."""
        return 18 + _LINE * len(self.lines)


def graph_svg(plan: AnyPlan) -> str:
    """Draw the graph of a plan as SVG text, for light and dark pages."""
    boxes = _boxes(plan)
    fed = {node.name: _nodes_of(node.inputs) for node in plan.nodes}
    inputs = {SOURCE: (), **fed, DATASET: _nodes_of(plan.outputs)}
    layers = make_layers(inputs)
    slot = max(box.width for box in boxes.values()) + _GAP_X
    tall = max(box.height for box in boxes.values())
    width = slot * max(map(len, layers)) - _GAP_X + 2 * _MARGIN
    place_vertices(layers, lambda vertex: slot, width)
    vertices = [vertex for layer in layers for vertex in layer]

    def top(vertex: Vertex) -> float:
        return _MARGIN + vertex.layer * (tall + _GAP_Y)

    def edge(parent: Vertex, vertex: Vertex) -> str:
        start = top(parent) + (tall if parent.bend_of else boxes[parent.name].height)
        end = top(vertex) - (0 if vertex.bend_of else _TIP)
        bend = (start + end) / 2
        path = f"M{parent.x:.1f},{start} C{parent.x:.1f},{bend} {vertex.x:.1f},{bend} "
        return f"{path}{vertex.x:.1f},{end}" + (f" V{end + tall}" if vertex.bend_of else "")

    environment = Environment(
        loader=PackageLoader("raygen.views", ""),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: visible(value) if type(value) is str else value,
    )
    return environment.get_template("graph.svg.j2").render(
        name=plan.recipe,
        boxes=[(boxes[v.name], v.x, top(v)) for v in vertices if v.bend_of is None],
        edges=[(edge(p, v), v.bend_of is None) for v in vertices for p in v.inputs],
        line=_LINE,
        width=width,
        height=top(layers[-1][0]) + boxes[DATASET].height + _MARGIN,
    )


def _boxes(plan: AnyPlan) -> dict[str, _PlacedBox]:
    colours = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(plan.engines)}
    boxes = {SOURCE: _PlacedBox("end", (("name", SOURCE), ("op", plan.task.name)))}
    for node in plan.nodes:
        engines = engines_of(node)
        lines = [("name", node.name), ("op", node.op.name + (f" · {engines}" if engines else ""))]
        if node.adds:
            lines.append(("adds", _listed(node.adds)))
        kind = "out" if node.name in plan.outputs else "node"
        boxes[node.name] = _PlacedBox(kind, tuple(lines), colours.get(engines.split(", ")[0]))
    boxes[DATASET] = _PlacedBox("end", (("name", DATASET), ("op", "examples")))
    return boxes


def _listed(columns: Iterable[str]) -> str:
    """Join as many names as fit on a line."""
    names = list(columns)
    shown = [name for i, name in enumerate(names) if len(", ".join(names[: i + 1])) < _WIDEST]
    return "+ " + ", ".join(shown if len(shown) == len(names) else [*shown, "…"])
