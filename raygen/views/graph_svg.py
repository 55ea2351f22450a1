"""Draw the graph of a plan as an SVG picture, for light and dark pages.

Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from jinja2 import Environment, PackageLoader, StrictUndefined

from raygen.inspection import Vertex, make_layers, place_vertices
from raygen.planning import Plan
from raygen.recipe import SOURCE
from raygen.views.graph import DATASET, engines_of

_GAP_X, _GAP_Y, _MARGIN, _LINE, _TIP = 28.0, 46.0, 16.0, 17.0, 6.0
_WIDEST = 34
"""Characters of the line of columns."""
_LETTERS = {"name": 7.6, "op": 6.4, "adds": 5.9}
"""The width of a letter in each kind of line."""
_PALETTE = ("#2f6fdb", "#b5552b", "#2b8a5f", "#8a4fbf", "#a8811b", "#b03a6f")


@dataclass(frozen=True, slots=True)
class Box:
    """The box of a node: the kinds and texts of its lines, and the colour of its engine."""

    kind: str
    lines: tuple[tuple[str, str], ...]
    colour: str | None = None

    @property
    def width(self) -> float:
        """The width of the longest line, with margins."""
        return 32 + max(len(text) * _LETTERS[kind] for kind, text in self.lines)

    @property
    def height(self) -> float:
        """The height of all lines, with margins."""
        return 18 + _LINE * len(self.lines)


def graph_svg(plan: Plan) -> str:
    """Draw the graph of a plan."""
    boxes = _boxes(plan)
    inputs = {SOURCE: (), **{node.name: node.inputs for node in plan.nodes}, DATASET: plan.outputs}
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
    )
    return environment.get_template("graph.svg.j2").render(
        name=plan.recipe,
        boxes=[(boxes[v.name], v.x, top(v)) for v in vertices if v.bend_of is None],
        edges=[(edge(p, v), v.bend_of is None) for v in vertices for p in v.inputs],
        line=_LINE,
        width=width,
        height=top(layers[-1][0]) + boxes[DATASET].height + _MARGIN,
    )


def _boxes(plan: Plan) -> dict[str, Box]:
    colours = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(plan.engines)}
    boxes = {SOURCE: Box("end", (("name", SOURCE), ("op", plan.task.name)))}
    for node in plan.nodes:
        engines = engines_of(node)
        lines = [("name", node.name), ("op", node.op.name + (f" · {engines}" if engines else ""))]
        if node.adds:
            lines.append(("adds", _listed(node.adds)))
        kind = "out" if node.name in plan.outputs else "node"
        boxes[node.name] = Box(kind, tuple(lines), colours.get(engines.split(", ")[0]))
    boxes[DATASET] = Box("end", (("name", DATASET), ("op", "examples")))
    return boxes


def _listed(columns: Iterable[str]) -> str:
    """List as many names as fit a line."""
    names = list(columns)
    shown = [name for i, name in enumerate(names) if len(", ".join(names[: i + 1])) < _WIDEST]
    return "+ " + ", ".join(shown if len(shown) == len(names) else [*shown, "…"])
