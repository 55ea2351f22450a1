"""What `streamtrain lens` looks at, and its output: tables, JSON, a picture.

Knows nothing of layers or lenses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from streamtrain.errors import InputError
from streamtrain.heldout import Question, read_questions
from streamtrain.lens.logit_lens import (
    LabelCurves,
    by_layer,
    divergence_by_layer,
    first_layer_summary,
    read_curves,
)
from streamtrain.lens.passages import halves
from streamtrain.lens.positions import PositionGrid, at_the_end, cells, picture_of, read_grid
from streamtrain.lens.tuned_lens import TuningOptions
from streamtrain.plots import Lines, curves, heatmap
from streamtrain.tables import TextTable


@dataclass(frozen=True, slots=True)
class LensOptions:
    """What to look at; with `one` a single question at every position: that `number`, counted from
    1, or the first that all students answer rightly."""

    data: Path
    threshold: float
    tuning: TuningOptions | None
    single: bool = False
    number: int | None = None

    @property
    def lens(self) -> str:
        """The name of the lens."""
        return "logit lens" if self.tuning is None else "tuned lens"


@dataclass(frozen=True, slots=True)
class CurvesView:
    """The students' curves over many questions."""

    looking: LensOptions
    curves: tuple[LabelCurves, ...]

    def table(self) -> TextTable:
        """Tabulate a row for each layer."""
        return by_layer(self.curves)

    def text(self) -> str:
        """Format all that the terminal shows."""
        parts = [first_layer_summary(self.curves, self.looking.threshold), by_layer(self.curves)]
        shown = [part.show("text") for part in parts]
        tuned = [(curve.label, curve.tuned) for curve in self.curves if curve.tuned]
        if tuned:
            shown.append(
                "How far each layer is from what the student says itself (KL in nats, on held-out "
                f"texts):\n\n{divergence_by_layer(self.curves).show('text')}"
            )
        shown += [
            f"The tuned lens of {label} learned from {lens.learned} texts and was held against "
            f"{lens.held} others, none of a question that is looked at; it is kept in {lens.folder}"
            for label, lens in tuned
        ]
        return "\n\n".join(shown)

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        threshold = self.looking.threshold
        return {
            "threshold": threshold,
            "students": [curve.to_json(threshold) for curve in self.curves],
        }

    def draw(self, file: Path) -> None:
        """Draw the means by layer. Raises OSError."""
        count = len(self.curves[0].of)
        threshold = self.looking.threshold
        curves(
            Lines(
                [(curve.label, curve.mean()) for curve in self.curves],
                "layer",
                "mean probability of the label",
                f"{count} questions that all answer rightly, {self.looking.lens}",
                (f"threshold {threshold:g}", threshold),
            ),
            file,
        )


@dataclass(frozen=True, slots=True)
class PositionsView:
    """The students' layers at every position of one question."""

    looking: LensOptions
    question: Question
    grids: tuple[PositionGrid, ...]

    def table(self) -> TextTable:
        """Tabulate a row for each layer at each position."""
        return cells(self.grids)

    def text(self) -> str:
        """Format the position before the label for the terminal."""
        return f"{self.question.question}\n\n{at_the_end(self.grids).show('text')}"

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data."""
        return {
            "question": self.question.question,
            "lens": self.looking.lens,
            "students": [grid.to_json() for grid in self.grids],
        }

    def draw(self, file: Path) -> None:
        """Draw the last positions, layer by layer. Raises OSError."""
        heatmap([picture_of(grid, self.looking.lens) for grid in self.grids], file)


def apply_lens(folders: Sequence[Path], looking: LensOptions) -> CurvesView | PositionsView:
    """Put the students of some runs under the lens.

    Raises InputError if a student has no lens, or there is no such question.
    """
    every = read_questions(looking.data)
    tuning = looking.tuning
    own_texts = tuning is not None and tuning.texts is not None and _same(tuning.texts, looking)
    questions = halves(every)[0] if own_texts else every
    if not looking.single:
        return CurvesView(looking, tuple(read_curves(folders, questions, tuning)))
    if looking.number is not None:
        question = _numbered(every, questions, looking.number)
    else:
        curves = read_curves(folders, questions, tuning)
        question = next(question for question in questions if question.key in curves[0].of)
    grids = (read_grid(folder, question, questions, tuning) for folder in folders)
    return PositionsView(looking, question, tuple(grids))


def _same(texts: Path, looking: LensOptions) -> bool:
    return texts.exists() and texts.samefile(looking.data)


def _numbered(every: Sequence[Question], remaining: Sequence[Question], number: int) -> Question:
    if number > len(every):
        raise InputError(f"--question {number}: --data has {len(every)} questions")
    if every[number - 1] not in remaining:
        raise InputError(
            f"--question {number} is in the half of --data that tunes the lens; take another one, "
            "or other --texts"
        )
    return every[number - 1]
