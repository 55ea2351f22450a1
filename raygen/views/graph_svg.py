"""The graph of a plan as an SVG picture, for light and dark pages.

fast-sugiyama says where the boxes stand; this draws them. Knows nothing of files.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from xml.etree import ElementTree

from raygen.core import UserError
from raygen.planning import Plan
from raygen.recipe import SOURCE
from raygen.views.graph import DATASET, edges, engines_of

_GAP_X, _GAP_Y, _MARGIN = 28.0, 46.0, 16.0
_WIDEST = 34
"""Characters of a line of columns."""
_PALETTE = ("#2f6fdb", "#b5552b", "#2b8a5f", "#8a4fbf", "#a8811b", "#b03a6f")
_STYLE = """
svg { font-family: ui-sans-serif, system-ui, "Segoe UI", Helvetica, Arial, sans-serif; }
.box { fill: #ffffff; stroke: #b8c0cc; stroke-width: 1.2; }
.end { fill: #eef2f7; stroke: #8d99a8; }
.out { stroke: #2b8a5f; stroke-width: 2; }
.name { font-size: 13px; font-weight: 600; fill: #1c2430; }
.op { font-size: 11.5px; fill: #4a5666; }
.adds { font-size: 10.5px; fill: #75818f; }
.way { fill: none; stroke: #98a3b0; stroke-width: 1.4; }
.tip { fill: #98a3b0; }
@media (prefers-color-scheme: dark) {
.box { fill: #1b222c; stroke: #465263; }
.end { fill: #263040; stroke: #6b788a; }
.out { stroke: #4fc08d; }
.name { fill: #e8edf3; }
.op { fill: #b3bdc9; }
.adds { fill: #8b97a5; }
.way { stroke: #66727f; }
.tip { fill: #66727f; }
}
"""

Point = tuple[float, float]


@dataclass(frozen=True, slots=True)
class _Box:
    """What stands in one box: classes and texts of its lines, and the colour of its engine."""

    kind: str
    lines: tuple[tuple[str, str], ...]
    colour: str | None = None

    @property
    def width(self) -> float:
        widths = {"name": 7.6, "op": 6.4, "adds": 5.9}
        return 32 + max(len(text) * widths[style] for style, text in self.lines)

    @property
    def height(self) -> float:
        return 18 + 17.0 * len(self.lines)


def svg(plan: Plan) -> str:
    """The picture. Raises UserError where fast-sugiyama isn't installed."""
    boxes = _boxes(plan)
    places, ways = _layout(boxes, edges(plan))
    width = max(x + boxes[name].width / 2 for name, (x, _) in places.items()) + _MARGIN
    height = max(y + boxes[name].height for name, (_, y) in places.items()) + _MARGIN
    root = ElementTree.Element(
        "svg",
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {width:.0f} {height:.0f}",
        width=f"{width:.0f}",
        height=f"{height:.0f}",
        role="img",
    )
    ElementTree.SubElement(root, "title").text = f"The graph of {plan.recipe}"
    ElementTree.SubElement(root, "style").text = _STYLE
    for points in ways:
        _way(root, points)
    for name, (x, y) in places.items():
        _box(root, boxes[name], x, y)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def _boxes(plan: Plan) -> dict[str, _Box]:
    colours = {name: _PALETTE[i % len(_PALETTE)] for i, name in enumerate(plan.engines)}
    boxes = {SOURCE: _Box("end", (("name", SOURCE), ("op", plan.task.name)))}
    for node in plan.nodes:
        engines = engines_of(node)
        lines = [("name", node.name), ("op", node.op.name + (f" · {engines}" if engines else ""))]
        if node.adds:
            lines.append(("adds", _listed(node.adds)))
        kind = "out" if node.name in plan.outputs else "node"
        boxes[node.name] = _Box(kind, tuple(lines), colours.get(engines.split(", ")[0]))
    boxes[DATASET] = _Box("end", (("name", DATASET), ("op", "examples")))
    return boxes


def _layout(
    boxes: Mapping[str, _Box], ways: Sequence[tuple[str, str]]
) -> tuple[dict[str, Point], list[list[Point]]]:
    """The upper middle of each box, and the points of each way, from box to box."""
    try:
        from fast_sugiyama import from_edges
    except ImportError as error:
        raise UserError(
            "an SVG needs the package fast-sugiyama, which is not installed; "
            'run `pip install "raygen[graph]"`, or write Mermaid with --out graph.mmd'
        ) from error
    numbers = {name: index for index, name in enumerate(boxes)}
    names = list(boxes)
    ((raw, _, _, parts),) = from_edges(
        [(numbers[start], numbers[end]) for start, end in ways],
        dummy_vertices=True,
        vertex_spacing=1,
        dummy_size=0.5,
        check_layout=False,
    )
    at = {int(vertex): place for vertex, place in raw}
    step = max(box.width for box in boxes.values()) + _GAP_X
    tall = max(box.height for box in boxes.values()) + _GAP_Y
    top = max(y for _, y in at.values())
    left = min(x for x, _ in at.values())
    rows = sorted({y for _, y in at.values()}, reverse=True)
    unit = min(above - below for above, below in pairwise(rows))
    shift = _MARGIN + max(box.width for box in boxes.values()) / 2
    where = {
        vertex: ((x - left) * step + shift, (top - y) / unit * tall + _MARGIN)
        for vertex, (x, y) in at.items()
    }
    places = {names[vertex]: point for vertex, point in where.items() if vertex < len(names)}
    return places, _ways([(int(a), int(b)) for a, b in parts or ()], where, names, boxes)


def _ways(
    parts: Sequence[tuple[int, int]],
    where: Mapping[int, Point],
    names: Sequence[str],
    boxes: Mapping[str, _Box],
) -> list[list[Point]]:
    """The ways between boxes, each put together from its parts."""
    after = {start: end for start, end in parts if start >= len(names)}
    found = []
    for start, end in parts:
        if start >= len(names):
            continue
        x, y = where[start]
        points = [(x, y + boxes[names[start]].height)]
        while end >= len(names):
            points += [where[end], (where[end][0], where[end][1] + 60)]
            end = after[end]
        found.append([*points, where[end]])
    return found


def _way(root: ElementTree.Element, points: Sequence[Point]) -> None:
    (x, y), *rest = points
    path = [f"M{x:.1f},{y:.1f}"]
    for index, (to_x, to_y) in enumerate(rest):
        end_y = to_y - 6 if index == len(rest) - 1 else to_y
        bend = (end_y - y) / 2
        path.append(f"C{x:.1f},{y + bend:.1f} {to_x:.1f},{end_y - bend:.1f} {to_x:.1f},{end_y:.1f}")
        x, y = to_x, end_y
    ElementTree.SubElement(root, "path", {"class": "way", "d": " ".join(path)})
    tip = f"M{x - 4:.1f},{y:.1f} L{x + 4:.1f},{y:.1f} L{x:.1f},{y + 6:.1f} Z"
    ElementTree.SubElement(root, "path", {"class": "tip", "d": tip})


def _box(root: ElementTree.Element, box: _Box, x: float, y: float) -> None:
    group = ElementTree.SubElement(root, "g")
    left, radius = x - box.width / 2, box.height / 2 if box.kind == "end" else 7
    frame = {"x": f"{left:.1f}", "y": f"{y:.1f}", "rx": f"{radius:g}", "class": f"box {box.kind}"}
    size = {"width": f"{box.width:.1f}", "height": f"{box.height:.1f}"}
    ElementTree.SubElement(group, "rect", {**frame, **size})
    if box.colour:
        bar = {"x": f"{left + 7:.1f}", "y": f"{y + 10:.1f}", "width": "3", "rx": "1.5"}
        height = {"height": f"{box.height - 20:.1f}", "fill": box.colour}
        ElementTree.SubElement(group, "rect", {**bar, **height})
    middle = box.kind == "end"
    for index, (style, text) in enumerate(box.lines):
        place = {
            "x": f"{x if middle else left + 18:.1f}",
            "y": f"{y + 21 + 17 * index:.1f}",
            "class": style,
        }
        if middle:
            place["text-anchor"] = "middle"
        ElementTree.SubElement(group, "text", place).text = text


def _listed(columns: Iterable[str]) -> str:
    """As many names as a box is wide."""
    names = list(columns)
    shown = [name for i, name in enumerate(names) if len(", ".join(names[: i + 1])) < _WIDEST]
    return "+ " + ", ".join(shown if len(shown) == len(names) else [*shown, "…"])
