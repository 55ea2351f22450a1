"""The layers of a graph: who stands where, and that nothing overlaps."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from raygen.inspection.graph_layout import Vertex, make_layers, place_vertices


def names(layers: list[list[Vertex]]) -> list[list[str]]:
    return [[vertex.bend_of or vertex.name for vertex in layer] for layer in layers]


def test_a_node_stands_below_all_of_its_inputs() -> None:
    layers = make_layers({"source": (), "a": ["source"], "b": ["a"], "c": ["source"]})
    assert names(layers) == [["source"], ["a", "c"], ["b"]]


def test_edges_that_pass_a_layer_share_a_bend_there() -> None:
    layers = make_layers(
        {"source": (), "a": ["source"], "b": ["a"], "c": ["b", "source"], "d": ["source", "b"]}
    )
    assert names(layers) == [["source"], ["a", "source"], ["b", "source"], ["c", "d"]]
    c, d = layers[3]
    assert c.inputs == list(reversed(d.inputs))
    bend = c.inputs[1]
    assert bend.bend_of == "source"
    assert bend.inputs[0].inputs == [layers[0][0]]


@st.composite
def graphs(draw: st.DrawFn) -> dict[str, list[str]]:
    """A graph whose nodes each have inputs among those before them."""
    graph: dict[str, list[str]] = {"0": []}
    for number in range(1, draw(st.integers(2, 9))):
        graph[str(number)] = draw(st.lists(st.sampled_from(sorted(graph)), min_size=1, unique=True))
    return graph


@given(graphs(), st.data())
def test_nothing_overlaps_and_every_edge_leads_one_layer_down(
    graph: dict[str, list[str]], data: st.DataObject
) -> None:
    layers = make_layers(graph)
    sizes = {v.name: data.draw(st.floats(1, 50)) for layer in layers for v in layer}
    place_vertices(layers, lambda vertex: sizes[vertex.name], 1000)
    assert sorted(v.name for layer in layers for v in layer if v.bend_of is None) == sorted(graph)
    for number, layer in enumerate(layers):
        for vertex in layer:
            assert vertex.layer == number
            assert all(parent.layer == number - 1 for parent in vertex.inputs)
            sources = [parent.bend_of or parent.name for parent in vertex.inputs]
            assert sources == ([vertex.bend_of] if vertex.bend_of else graph[vertex.name])
            assert vertex.x - sizes[vertex.name] / 2 >= 0
            assert vertex.x + sizes[vertex.name] / 2 <= 1000
        for left, right in pairwise(layer):
            assert left.x + sizes[left.name] / 2 <= right.x - sizes[right.name] / 2 + 1e-6
