"""The graph as a tree, as Mermaid and as a picture."""

from __future__ import annotations

import io
from dataclasses import replace
from xml.etree import ElementTree

from rich.console import Console

from raygen.planning.plan import Plan
from raygen.views import graph_view, mermaid
from raygen.views.graph import graph_svg
from tests.support.plans import fake_spec, node, plan

SVG = "{http://www.w3.org/2000/svg}"


def diamond() -> Plan:
    asks = node("asks", "generate", prompt="x", into="x<&>")
    asks = replace(asks, adds={"x<&>": "string", "a_very_long_name": "string", "another": "string"})
    good = node("good", "filter", "asks", where="true")
    both = replace(node("both", "filter", where="true"), inputs=("good", "source"))
    return plan([asks, good, both], ("good", "both"), fake_spec("yes"))


def test_the_tree_shows_every_node_once_and_its_other_inputs() -> None:
    console = Console(file=io.StringIO(), width=80, color_system=None)
    console.print(graph_view(diamond()))
    assert isinstance(console.file, io.StringIO)
    assert [line.rstrip() for line in console.file.getvalue().splitlines()] == [
        "test, multiple_choice",
        "source",
        "└── asks  generate · teacher",
        "    └── good  filter  ◆",
        "        └── both  filter  (and from source)  ◆",
        "◆ its rows become the dataset: good and both",
    ]


def test_mermaid_has_every_node_and_edge() -> None:
    text = mermaid(diamond())
    assert text.startswith("flowchart TD\n")
    assert 'n0["<b>asks</b><br>generate · teacher"]' in text
    ways = [line.strip() for line in text.splitlines() if "-->" in line]
    assert ways == [
        "source --> n0", "n0 --> n1", "n1 --> n2", "source --> n2",
        "n1 --> dataset", "n2 --> dataset",
    ]  # fmt: skip


def test_the_picture_has_every_box_and_edge_inside_its_frame() -> None:
    root = ElementTree.fromstring(graph_svg(diamond()))  # noqa: S314 - our own picture
    texts = [element.text for element in root.iter(f"{SVG}text")]
    assert {"source", "asks", "good", "both", "dataset", "generate · teacher"} <= set(texts)
    assert "+ x<&>, a_very_long_name, another" in texts
    edges = [e for e in root.iter(f"{SVG}path") if e.get("class") == "edge"]
    assert sum("marker-end" in edge.attrib for edge in edges) == 6
    _, _, width, height = map(float, root.attrib["viewBox"].split())
    boxes = [e.attrib for e in root.iter(f"{SVG}rect") if "box" in e.get("class", "")]
    frames = [[float(box[key]) for key in ("x", "y", "width", "height")] for box in boxes]
    for x, y, wide, high in frames:
        assert x >= 0
        assert y >= 0
        assert x + wide <= width
        assert y + high <= height
    for index, one in enumerate(frames):
        assert not any(_overlap(one, other) for other in frames[index + 1 :])
    assert "prefers-color-scheme: dark" in graph_svg(diamond())


def _overlap(a: list[float], b: list[float]) -> bool:
    apart_x = a[0] + a[2] <= b[0] or b[0] + b[2] <= a[0]
    apart_y = a[1] + a[3] <= b[1] or b[1] + b[3] <= a[1]
    return not (apart_x or apart_y)


def test_many_columns_are_cut_at_a_name() -> None:
    base = diamond()
    adds = {f"column_number_{index}": "string" for index in range(9)}
    wide = replace(base, nodes=(replace(base.nodes[0], adds=adds), *base.nodes[1:]))
    assert "+ column_number_0, column_number_1, …" in graph_svg(wide)
