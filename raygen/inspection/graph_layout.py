"""Lay a graph out in layers: assign each node to a layer, and to a horizontal position in it.

A node lies below all of its inputs. An edge that crosses a layer bends there; the bend takes a slot
as a node does, so that no edge runs behind a box. Edges from the same node share their bends:

    layer 0          source
                     /    \\
    layer 1     masked    (bend)
                    |     /    \\
    layer 2     negatives    rationales

Knows nothing of what a node is, or of how it is drawn.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class Vertex:
    """A node in its layer, or a bend of the edges from the node `bend_of`."""

    name: str
    layer: int
    inputs: list[Vertex] = field(default_factory=list)
    bend_of: str | None = None
    x: float = 0.0
    """The centre of its slot, in the drawing's unit."""


def make_layers(inputs: Mapping[str, Sequence[str]]) -> list[list[Vertex]]:
    """Assign nodes and the bends of their edges to layers, from the top down.

    `inputs` maps each node to its inputs, and lists a node after all of its inputs.
    """
    layers: list[list[Vertex]] = []
    columns: dict[str, list[Vertex]] = {}  # each node and its bends, from the top down
    for name, parents in inputs.items():
        vertex = Vertex(name, max((columns[p][0].layer + 1 for p in parents), default=0))
        for column in (columns[parent] for parent in parents):
            for layer in range(column[-1].layer + 1, vertex.layer):
                bend = Vertex(f"{column[0].name} at {layer}", layer, [column[-1]], column[0].name)
                column.append(bend)
                layers[layer].append(bend)
            vertex.inputs.append(column[vertex.layer - 1 - column[0].layer])
        if vertex.layer == len(layers):
            layers.append([])
        layers[vertex.layer].append(vertex)
        columns[name] = [vertex]
    return layers


def place_vertices(
    layers: Sequence[list[Vertex]], slot: Callable[[Vertex], float], width: float
) -> None:
    """Set the `x` of every vertex: sort each layer by its inputs' mean `x`, spread it over `width`.

    `slot` returns the width that a vertex needs, in the unit of `width`. Vertices with the same
    inputs keep their order.
    """
    for layer in layers:
        layer.sort(key=lambda vertex: sum(v.x for v in vertex.inputs) / (len(vertex.inputs) or 1))
        gap = (width - sum(map(slot, layer))) / (len(layer) + 1)
        left = gap
        for vertex in layer:
            vertex.x = left + slot(vertex) / 2
            left += slot(vertex) + gap
