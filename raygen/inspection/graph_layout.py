"""Lay a graph out in layers: which layer each node stands in, and where in it.

A node stands below all of its inputs. An edge that passes a layer has a bend there, which takes a
slot like a node does, so that no edge runs behind a box; edges from one node share their bends:

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
    """The middle of its slot."""


def make_layers(inputs: Mapping[str, Sequence[str]]) -> list[list[Vertex]]:
    """Assign every node to a layer; `inputs` names each node after its own inputs."""
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
    """Order each layer by where its inputs stand, and spread it evenly over `width`.

    `slot` is the width that a vertex needs. Vertices with the same inputs keep their order.
    """
    for layer in layers:
        layer.sort(key=lambda vertex: sum(v.x for v in vertex.inputs) / (len(vertex.inputs) or 1))
        gap = (width - sum(map(slot, layer))) / (len(layer) + 1)
        left = gap
        for vertex in layer:
            vertex.x = left + slot(vertex) / 2
            left += slot(vertex) + gap
