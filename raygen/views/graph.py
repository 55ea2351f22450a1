"""Render the graph of a plan as text: a tree in the terminal, and Mermaid.

Knows nothing of pictures.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rich.console import Group, RenderableType
from rich.text import Text
from rich.tree import Tree

from raygen.planning import Node, Plan
from raygen.recipe import SOURCE

DATASET = "dataset"


def graph_view(plan: Plan) -> RenderableType:
    """Render a tree from the source down; a node of several inputs is under the last of them."""
    order = {name: index for index, name in enumerate([SOURCE, *(n.name for n in plan.nodes)])}
    below: dict[str, list[Node]] = defaultdict(list)
    for node in plan.nodes:
        below[max(node.inputs, key=order.__getitem__)].append(node)
    tree = Tree(Text(SOURCE, style="bold"), guide_style="dim")
    _grow(tree, SOURCE, below, plan)
    kept = " and ".join(plan.outputs) if len(plan.outputs) < 3 else f"{len(plan.outputs)} nodes"
    foot = Text(f"◆ its rows become the dataset: {kept}", style="dim")
    return Group(Text.assemble((plan.recipe, "bold"), f", {plan.task.name}"), tree, foot)


def _grow(tree: Tree, name: str, below: Mapping[str, list[Node]], plan: Plan) -> None:
    for node in below.get(name, []):
        label = Text.assemble((node.name, "bold"), f"  {node.op.name}")
        if engines := engines_of(node):
            label.append(f" · {engines}", style="cyan")
        others = [other for other in node.inputs if other != name]
        if others:
            label.append(f"  (and from {', '.join(others)})", style="dim")
        if node.name in plan.outputs:
            label.append("  ◆", style="green")
        _grow(tree.add(label), node.name, below, plan)


def engines_of(node: Node) -> str:
    """Name the engines that a node calls."""
    names = dict.fromkeys([node.engine, *node.params.engines().values()])
    return ", ".join(name for name in names if name)


def mermaid(plan: Plan) -> str:
    """Write the graph as a Mermaid flowchart, which GitHub and notebooks draw."""
    boxes = []
    for node in plan.nodes:
        engines = engines_of(node)
        line = node.op.name + (f" · {engines}" if engines else "")
        boxes.append(Box(node.name, (line,), node.inputs))
    return flowchart(boxes, plan.outputs)


@dataclass(frozen=True, slots=True)
class Box:
    """A node of a flowchart: its name, the lines below it, and where its rows come from."""

    name: str
    lines: Sequence[str]
    inputs: Sequence[str]


def flowchart(boxes: Sequence[Box], outputs: Sequence[str]) -> str:
    """Write boxes between the source and the dataset as Mermaid."""
    ids = {SOURCE: "source", DATASET: "dataset"}
    ids |= {box.name: f"n{index}" for index, box in enumerate(boxes)}
    lines = ["flowchart TD", "  source([source])"]
    for box in boxes:
        label = "<br>".join((f"<b>{box.name}</b>", *box.lines))
        lines.append(f'  {ids[box.name]}["{label}"]')
    lines.append("  dataset[(dataset)]")
    inputs = [(box.name, box.inputs) for box in boxes]
    lines += [f"  {ids[start]} --> {ids[end]}" for start, end in _edges(inputs, outputs)]
    return "\n".join(lines) + "\n"


def edges(plan: Plan) -> list[tuple[str, str]]:
    """List the edges of the graph: from, to."""
    return _edges([(node.name, node.inputs) for node in plan.nodes], plan.outputs)


def _edges(
    nodes: Sequence[tuple[str, Sequence[str]]], outputs: Sequence[str]
) -> list[tuple[str, str]]:
    inner = [(source, name) for name, inputs in nodes for source in inputs]
    return inner + [(name, DATASET) for name in outputs]
