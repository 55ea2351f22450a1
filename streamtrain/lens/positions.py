"""The lens over one question: every layer at every position of what the student reads and writes.

Knows nothing of picture files.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from streamtrain.heldout import Question
from streamtrain.lens.student import load_lens_student
from streamtrain.lens.tuned_lens import TuningOptions, tuned_lens
from streamtrain.plots import Heatmap
from streamtrain.tables import TextTable

SHOWN = 24
"""The number of positions in a picture, counted from the end."""


@dataclass(frozen=True, slots=True)
class PositionGrid:
    """One student on one question. `tokens` has the token of each position; `top` and `label` have
    a line per layer: the most probable next token with its probability, and the probability of
    `gold`, the gold label's first token."""

    student: str
    gold: str
    right: bool
    tokens: tuple[str, ...]
    top: tuple[tuple[tuple[str, float], ...], ...]
    label: tuple[tuple[float, ...], ...]

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        return {
            "student": self.student,
            "gold": self.gold,
            "right": self.right,
            "tokens": list(self.tokens),
            "top": [[{"token": t, "probability": p} for t, p in line] for line in self.top],
            "label": [list(line) for line in self.label],
        }


def read_grid(
    folder: Path, question: Question, looked_at: Sequence[Question], tuning: TuningOptions | None
) -> PositionGrid:
    """Read a student's layers on a question, up to the position before its label; a tuned lens is
    tuned on nothing that is `looked_at`.

    Raises InputError if there is no student, or it has no lens.
    """
    lens_student = load_lens_student(folder)
    translators = tuned_lens(lens_student, looked_at, tuning).translators if tuning else None
    (answer,) = lens_student.answers([question])
    passage, options = lens_student.before_label(question, answer)
    reader, decode = lens_student.reader, lens_student.student.tokenizer.decode
    gold = options[question.answer][0]
    states = reader.states(passage)
    top, label = [], []
    # One layer at a time: all of them over a whole vocabulary would fill the memory.
    with torch.no_grad():
        for state in states if translators is None else translators(states):
            read = reader.logits(state).softmax(dim=-1)
            best = read.max(dim=-1)
            names = [decode([token]) for token in best.indices.tolist()]
            top.append(tuple(zip(names, best.values.tolist(), strict=True)))
            label.append(tuple(read[:, gold].tolist()))
    return PositionGrid(
        lens_student.label,
        decode([gold]),
        answer.choice == question.answer,
        tuple(decode([token]) for token in reader.tokens(passage)),
        tuple(top),
        tuple(label),
    )


def cells(grids: Sequence[PositionGrid]) -> TextTable:
    """Tabulate a row for each student, position and layer."""
    columns = ("student", "place", "token", "layer", "top", "top probability", "label probability")
    rows = tuple(
        (
            grid.student,
            str(position + 1),
            token,
            str(layer + 1),
            grid.top[layer][position][0],
            f"{grid.top[layer][position][1]:.4f}",
            f"{grid.label[layer][position]:.4f}",
        )
        for grid in grids
        for position, token in enumerate(grid.tokens)
        for layer in range(len(grid.top))
    )
    return TextTable(columns, rows)


def at_the_end(grids: Sequence[PositionGrid]) -> TextTable:
    """Tabulate a row for each layer: what each student finds most probable before the label, and
    the label."""
    columns = [part for grid in grids for part in (grid.student, f"gold label {grid.gold.strip()}")]
    depth = max(len(grid.top) for grid in grids)
    rows = tuple(
        (str(layer + 1), *(cell for grid in grids for cell in _end(grid, layer)))
        for layer in range(depth)
    )
    return TextTable(("layer", *columns), rows)


def _end(grid: PositionGrid, layer: int) -> tuple[str, str]:
    if layer >= len(grid.top):
        return "", ""
    token, probability = grid.top[layer][-1]
    return (
        f"{json.dumps(token, ensure_ascii=False)} {probability:.3f}",
        f"{grid.label[layer][-1]:.3f}",
    )


def picture_of(grid: PositionGrid, lens: str) -> Heatmap:
    """Draw the last positions of a grid as a heatmap, the last layer on top."""
    begin = max(0, len(grid.tokens) - SHOWN)
    layers = range(len(grid.top) - 1, -1, -1)
    answer = "answered rightly" if grid.right else "answered wrongly"
    return Heatmap(
        values=[list(grid.label[layer][begin:]) for layer in layers],
        texts=[[token for token, _ in grid.top[layer][begin:]] for layer in layers],
        rows=[str(layer + 1) for layer in layers],
        columns=list(grid.tokens[begin:]),
        title=f"{grid.student}, {lens}, {answer}",
        row_axis="layer",
        column_axis="what the student has at each place; a cell tells what comes next",
        scale=f"probability of {grid.gold.strip()!r}, the gold label",
    )
