"""The flow of rows through a graph, laid out: which block stands where, how wide, and its ribbons.

Widths are rows. Rows that a node drops leave to a block of their own, with the reasons. Knows
nothing of how it is drawn.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from raygen.core import count, plural
from raygen.dataset import DatasetStatus
from raygen.recipe import SOURCE

DATASET = "dataset"

_LAYER, _TALL, _LINE = 118.0, 13.0, 15.0
_GAP, _MARGIN, _LETTER = 16.0, 6.0, 6.9
_BROADEST = 200.0
"""The width of the block with most rows."""
_POINTS = 10
_REASONS = 4
_LONGEST = 26
_COLOURS = {"kept": "var(--kept)", "dropped": "var(--dropped)", "end": "var(--c1)"}


@dataclass(slots=True)
class Block:
    """Rows at one place: those that came in and, of what was made of them, kept and dropped.

    One without a title is a ribbon's way past a layer.
    """

    layer: int
    rows_in: int
    kept: int
    dropped: int = 0
    title: str = ""
    lines: tuple[str, ...] = ()
    kind: str = "kept"
    x: float = 0.0
    """Its middle."""
    above: list[str] = field(default_factory=list)
    """The blocks that its rows come from."""

    @property
    def rows(self) -> int:
        return max(self.rows_in, self.kept + self.dropped)

    @property
    def label(self) -> float:
        """How much room its words take."""
        return max((len(line) * _LETTER for line in (self.title, *self.lines)), default=0.0)


def lay_out(
    plan: Mapping[str, Any], status: DatasetStatus, width: float
) -> tuple[dict[str, list[dict[str, Any]]], tuple[float, float]]:
    """The ribbons, blocks and texts, and the size of it all: at least `width` wide."""
    blocks = _blocks(plan, status)
    layers = _layers(blocks)
    wide, scale = _fit(layers, width)
    _place(layers, blocks, wide, scale)
    last = max(len(block.lines) for block in layers[-1])
    drawing = {
        "ribbons": _ribbons(blocks, scale),
        "blocks": [box for block in blocks.values() for box in _boxes(block, scale)],
        "texts": [text for block in blocks.values() for text in _texts(block)],
    }
    below = last * _LINE if any(block.kind == "dropped" for block in layers[-1]) else 0.0
    return drawing, (wide, _y(len(layers) - 1) + _TALL + below + _MARGIN)


def _blocks(plan: Mapping[str, Any], status: DatasetStatus) -> dict[str, Block]:
    """Every block by its name: the source, nodes, what they dropped, the dataset, and ways past."""
    begun = status.finished
    blocks = {SOURCE: Block(0, begun, begun, title=SOURCE, lines=(plural(begun, "row"),),
                            kind="end")}  # fmt: skip
    reasons: dict[str, list[str]] = defaultdict(list)
    for node, reason, number in status.rejects:
        reasons[node].append(_cut(f"{reason} {count(number)}"))
    for node in plan["nodes"]:
        name = node["name"]
        rows_in, kept, dropped = status.nodes.get(name, (0, 0, 0))
        layer = 1 + max(blocks[parent].layer for parent in node["from"])
        lines = (f"{count(rows_in)} in, {count(kept)} kept",)
        block = Block(layer, rows_in, kept, dropped, _cut(name), lines)
        block.above = [_past(blocks, parent, layer) for parent in node["from"]]
        blocks[name] = block
        if dropped:
            why = reasons[name]
            rest = [f"and {len(why) - _REASONS} more"] if len(why) > _REASONS else []
            words = (*why[:_REASONS], *rest)
            blocks[f"dropped:{name}"] = Block(
                layer + 1, dropped, dropped, 0, f"{count(dropped)} dropped", words, "dropped",
                above=[name],
            )  # fmt: skip
    end = 1 + max(blocks[name].layer for name in plan["outputs"])
    made = status.examples
    ended = Block(end, made, made, title=DATASET, lines=(plural(made, "example"),), kind="end")
    ended.above = [_past(blocks, name, end) for name in plan["outputs"]]
    blocks[f"to:{DATASET}"] = ended
    return blocks


def _past(blocks: dict[str, Block], parent: str, layer: int) -> str:
    """The block above `layer` that rows of a parent come from, with ways past those between."""
    above = parent
    for between in range(blocks[parent].layer + 1, layer):
        name = f"past:{parent}:{between}"
        if name not in blocks:
            kept = blocks[parent].kept
            blocks[name] = Block(between, kept, kept, above=[above])
        above = name
    return above


def _layers(blocks: Mapping[str, Block]) -> list[list[Block]]:
    layers: list[list[Block]] = [[] for _ in range(1 + max(b.layer for b in blocks.values()))]
    for block in blocks.values():
        layers[block.layer].append(block)
    return layers


def _fit(layers: Sequence[Sequence[Block]], width: float) -> tuple[float, float]:
    """How wide the drawing has to be for its words, and how wide a row may be then."""
    words = (sum(max(b.label, _GAP) + _GAP for b in layer) for layer in layers)
    wide = max(width, *words) + 2 * _MARGIN
    scale = _BROADEST / max(1, *(block.rows for layer in layers for block in layer))
    while any(_extent(layer, scale) > wide for layer in layers) and scale > 1e-6:
        scale *= 0.93
    return wide, scale


def _extent(layer: Iterable[Block], scale: float) -> float:
    return sum(_slot(block, scale) for block in layer)


def _slot(block: Block, scale: float) -> float:
    return max(block.rows * scale, block.label) + _GAP


def _place(
    layers: Sequence[list[Block]], blocks: Mapping[str, Block], wide: float, scale: float
) -> None:
    """Set every block's middle: in each layer in the order of where its rows come from."""
    for layer in layers:
        layer.sort(key=lambda block: _pull(block, blocks))
        free = (wide - _extent(layer, scale)) / (len(layer) + 1)
        at = 0.0
        for block in layer:
            slot = _slot(block, scale)
            block.x = at + free + slot / 2
            at += free + slot


def _pull(block: Block, blocks: Mapping[str, Block]) -> float:
    if not block.above:
        return 0.0
    # What is dropped leaves to the right of what is kept.
    aside = 1.0 if block.kind == "dropped" else 0.0
    return sum(blocks[name].x for name in block.above) / len(block.above) + aside


def _ribbons(blocks: Mapping[str, Block], scale: float) -> list[dict[str, Any]]:
    """The edges of every ribbon, from the block above to the one below, at a few heights."""
    found = []
    for below, block in blocks.items():
        whole = sum(blocks[name].kept for name in block.above) or 1
        at = block.x - block.rows_in * scale / 2
        for name in block.above:
            parent = blocks[name]
            dropped = block.kind == "dropped"
            rows, skipped = (parent.dropped, parent.kept) if dropped else (parent.kept, 0)
            size = block.rows_in * scale * (1 if dropped else parent.kept / whole)
            if not rows:
                continue
            left = parent.x + (skipped - (parent.kept + parent.dropped) / 2) * scale
            top, bottom = _y(parent.layer) + _TALL, _y(block.layer)
            for place in range(_POINTS + 1):
                part = place / _POINTS
                bend = part * part * (3 - 2 * part)
                x = left + (at - left) * bend
                found.append({
                    "ribbon": f"{name} to {below}", "colour": _COLOURS[block.kind],
                    "y": round(top + (bottom - top) * part, 1), "x": round(x, 1),
                    "x2": round(x + max(rows * scale + (size - rows * scale) * bend, 1), 1),
                })  # fmt: skip
            at += size
    return found


def _boxes(block: Block, scale: float) -> list[dict[str, Any]]:
    """A block in one or two colours; of a way past, a piece of ribbon."""
    left = block.x - (block.kept + block.dropped) * scale / 2
    opacity = 1.0 if block.title else 0.28
    boxes = []
    for rows, colour in (
        (block.kept, _COLOURS[block.kind]),
        (block.dropped, _COLOURS["dropped"]),
    ):
        if rows:
            boxes.append({
                "x": round(left, 1), "y": _y(block.layer), "height": _TALL, "colour": colour,
                "width": round(max(rows * scale, 1.5), 1), "opacity": opacity,
                "words": f"{block.title}: {', '.join(block.lines)}",
            })  # fmt: skip
        left += rows * scale
    return boxes


def _texts(block: Block) -> list[dict[str, Any]]:
    """The words above a block, or below what was dropped."""
    lines = [(block.title, "bold", "var(--ink)")] if block.title else []
    lines += [(line, "normal", "var(--soft)") for line in block.lines]
    y = _y(block.layer)
    if block.kind == "dropped":
        places = [y - 6.0, *(y + _TALL + _LINE * (i + 1) - 2 for i in range(len(lines) - 1))]
    else:
        places = [y - 6.0 - _LINE * (len(lines) - 1 - i) for i in range(len(lines))]
    return [
        {"x": round(block.x, 1), "y": place, "text": text, "weight": weight, "colour": colour}
        for (text, weight, colour), place in zip(lines, places, strict=True)
    ]


def _y(layer: int) -> float:
    return 40.0 + layer * _LAYER


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"
