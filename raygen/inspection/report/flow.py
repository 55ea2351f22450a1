"""Draw the flow of rows through a graph as SVG: a Sankey diagram, from the source down.

The width of a block is its number of rows. Rows that a node drops flow into a separate block that
lists the reasons. Knows nothing of pages.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raygen.core import count, plural
from raygen.dataset import DatasetStatus
from raygen.inspection.graph_layout import Vertex, make_layers, place_vertices
from raygen.inspection.report.template import render
from raygen.recipe import SOURCE, feeding_node

DATASET = "dataset"

_TOP, _LAYER, _TALL, _LINE = 40.0, 118.0, 13.0, 15.0
_GAP, _MARGIN, _LETTER = 16.0, 6.0, 6.9
_BROADEST = 200.0
"""The width of the widest block, in pixels of the drawing."""
_REASONS = 4
_LONGEST = 26


@dataclass(slots=True)
class FlowBlock:
    """A block of the diagram: rows that came in and, of the rows made of them, kept and dropped."""

    kind: Literal["kept", "dropped", "end", "bend"]
    rows_in: int
    kept: int
    dropped: int = 0
    title: str = ""
    lines: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """The number of rows that the block's width stands for."""
        return max(self.rows_in, self.kept + self.dropped)

    @property
    def label(self) -> float:
        """The width of the longest line of the label."""
        return max(len(line) * _LETTER for line in (self.title, *self.lines))


def flow_chart(plan: Mapping[str, Any], status: DatasetStatus, width: float) -> str:
    """Draw the rows of a plan as SVG text, at least `width` wide and wide enough for the labels."""
    blocks, inputs = _blocks(plan, status)
    layers = make_layers(inputs)
    vertices = [vertex for layer in layers for vertex in layer]
    for vertex in vertices:
        if vertex.bend_of is not None:
            kept = blocks[vertex.bend_of].kept
            blocks[vertex.name] = FlowBlock("bend", kept, kept)
    labels = (sum(max(blocks[v.name].label, _GAP) + _GAP for v in layer) for layer in layers)
    width = max(width, *labels) + 2 * _MARGIN
    scale = _BROADEST / max(1, *(block.rows for block in blocks.values()))

    def slot(vertex: Vertex) -> float:
        return max(blocks[vertex.name].rows * scale, blocks[vertex.name].label) + _GAP

    while any(sum(map(slot, layer)) > width for layer in layers):
        scale *= 0.93
    place_vertices(layers, slot, width)
    below = max(len(blocks[v.name].lines) * (blocks[v.name].kind == "dropped") for v in layers[-1])
    return render(
        "flow.svg.j2",
        vertices=vertices,
        blocks=blocks,
        ribbons=_ribbons(vertices, blocks, scale),
        top=_top,
        scale=scale,
        tall=_TALL,
        line=_LINE,
        width=width,
        height=_top(len(layers) - 1) + _TALL + below * _LINE + _MARGIN,
    )


def _blocks(
    plan: Mapping[str, Any], status: DatasetStatus
) -> tuple[dict[str, FlowBlock], dict[str, Sequence[str]]]:
    """Make the blocks of source, nodes, dataset and drops by name, and the inputs of each."""
    rows, examples = status.finished, status.examples
    reasons: dict[str, list[str]] = defaultdict(list)
    for node, reason, number in status.rejects:
        reasons[node].append(_cut(f"{reason} {count(number)}"))
    invalid = sum(number for node, _, number in status.rejects if node == SOURCE)
    blocks = {
        SOURCE: FlowBlock("end", rows, rows - invalid, invalid, SOURCE, (plural(rows, "row"),))
    }
    inputs: dict[str, Sequence[str]] = {SOURCE: ()}
    drops = _dropped(SOURCE, invalid, reasons[SOURCE])
    for node in plan["nodes"]:
        name = node["name"]
        rows_in, kept, dropped = status.nodes.get(name, (0, 0, 0))
        line = f"{count(rows_in)} in, {count(kept)} kept"
        blocks[name] = FlowBlock("kept", rows_in, kept, dropped, _cut(name), (line,))
        inputs[name] = _nodes_of(node["from"])
        drops |= _dropped(name, dropped, reasons[name])
    end = (plural(examples, "example"),)
    blocks[f"to:{DATASET}"] = FlowBlock("end", examples, examples, 0, DATASET, end)
    inputs[f"to:{DATASET}"] = _nodes_of(plan["outputs"])
    # Drops come last, so that the kept rows of a node leave on its left.
    inputs |= {name: (name.removeprefix("dropped:"),) for name in drops}
    return blocks | drops, inputs


def _nodes_of(inputs: Sequence[str]) -> list[str]:
    """List the nodes that rows come from, whether they keep or drop them."""
    return list(dict.fromkeys(map(feeding_node, inputs)))


def _dropped(name: str, dropped: int, why: Sequence[str]) -> dict[str, FlowBlock]:
    """Make the block of what a node drops, by its name; none where it drops nothing."""
    if not dropped:
        return {}
    rest = [f"and {len(why) - _REASONS} more"] if len(why) > _REASONS else []
    title, lines = f"{count(dropped)} dropped", (*why[:_REASONS], *rest)
    return {f"dropped:{name}": FlowBlock("dropped", dropped, dropped, 0, title, lines)}


def _ribbons(
    vertices: Sequence[Vertex], blocks: Mapping[str, FlowBlock], scale: float
) -> Iterator[tuple[str, str]]:
    """Yield the kind and the SVG path of each ribbon between two blocks."""
    for vertex in vertices:
        block, bottom = blocks[vertex.name], _top(vertex.layer)
        total = sum(blocks[parent.name].kept for parent in vertex.inputs) or 1
        x = vertex.x - block.rows_in * scale / 2
        for parent in vertex.inputs:
            above, top = blocks[parent.name], _top(parent.layer) + _TALL
            left = parent.x - (above.kept + above.dropped) * scale / 2
            rows, share = above.kept, above.kept / total
            if block.kind == "dropped":
                left, rows, share = left + above.kept * scale, above.dropped, 1.0
            size = block.rows_in * scale * share
            if rows:
                right, end, bend = left + max(rows * scale, 1), x + max(size, 1), (top + bottom) / 2
                down = f"C{left:.1f},{bend} {x:.1f},{bend} {x:.1f},{bottom}"
                up = f"C{end:.1f},{bend} {right:.1f},{bend} {right:.1f},{top}"
                yield block.kind, f"M{left:.1f},{top} {down} H{end:.1f} {up} Z"
            x += size


def _top(layer: int) -> float:
    return _TOP + layer * _LAYER


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
