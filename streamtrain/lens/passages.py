"""Texts to tune a lens on and to test it with, disjoint from the questions under the lens.

They are examples of the student's dataset, or of another file of questions. Knows nothing of layers
or of tuning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from raygen.core import digest
from streamtrain.data import RowFilter, dataset_examples
from streamtrain.errors import InputError
from streamtrain.heldout import HeldOut, Question, read_questions, shared_questions
from streamtrain.lens.layers import LensInput
from streamtrain.lens.student import LensStudent
from streamtrain.losses import LanguageModelObjective
from streamtrain.run import RESULT, read_result

_MOST = 500
_HELD = 10
"""At most so many passages; those of every tenth question are held out."""

_Named = tuple[str, LensInput]
"""A passage with the name of its question."""


@dataclass(frozen=True, slots=True)
class TuningTexts:
    """Passages to tune on, and those of other questions to test with."""

    learned: tuple[LensInput, ...]
    held: tuple[LensInput, ...]

    @property
    def hash(self) -> str:
        """A hash of all passages."""
        sides = [
            [[list(p.encoder_ids), list(p.ids)] for p in side] for side in (self.learned, self.held)
        ]
        return digest("lens texts", *sides)


def lens_texts(
    lens_student: LensStudent, looked_at: Sequence[Question], file: Path | None
) -> TuningTexts:
    """Collect passages of `file`'s questions, or of the dataset that the student was trained on,
    without the questions under the lens and their pairs.

    Raises InputError if fewer than two questions are left.
    """
    named_passages = (
        _of_file(lens_student, looked_at, file) if file else _of_dataset(lens_student, looked_at)
    )
    passages = list(islice(named_passages, _MOST))
    names = sorted({name for name, _ in passages})
    if len(names) < 2:
        raise InputError(
            f"a tuned lens needs texts of two questions at least beside those of --data; "
            f"{file or 'the dataset of the student'} has {len(names)}; give others with --texts"
        )
    held = set(names[::_HELD])
    return TuningTexts(
        tuple(passage for name, passage in passages if name not in held),
        tuple(passage for name, passage in passages if name in held),
    )


def halves(questions: Sequence[Question]) -> tuple[list[Question], list[Question]]:
    """Split questions in two halves, pairs together, independent of their order.

    Raises InputError if one half would be empty.
    """
    names = sorted({digest(question.group or question.key) for question in questions})
    first = set(names[::2])
    parts = (
        [question for question in questions if digest(question.group or question.key) in first],
        [question for question in questions if digest(question.group or question.key) not in first],
    )
    if not all(parts):
        raise InputError("one question can't both tune a lens and be looked at; give more of them")
    return parts


def _of_file(
    lens_student: LensStudent, looked_at: Sequence[Question], file: Path
) -> Iterator[_Named]:
    questions = read_questions(file)
    excluded = {question.key for question in shared_questions(looked_at, questions)}
    remaining = sorted(
        (question for question in questions if question.key not in excluded),
        key=lambda question: question.key,
    )
    remaining = remaining[:_MOST]
    for question, answer in zip(remaining, lens_student.answers(remaining), strict=True):
        passage, options = lens_student.before_label(question, answer)
        full_input = LensInput((*passage.ids, *options[question.answer]), passage.encoder_ids)
        yield question.group or question.key, full_input


def _of_dataset(lens_student: LensStudent, looked_at: Sequence[Question]) -> Iterator[_Named]:
    result = lens_student.folder.parent / RESULT
    if not result.exists():
        raise InputError(
            f"{lens_student.folder} is no part of a run that names its dataset; "
            "give texts with --texts"
        )
    outcome = read_result(result.parent)
    out = HeldOut({"data": looked_at})
    row_filter = RowFilter(lens_student.config)
    objective = LanguageModelObjective(
        lens_student.student, lens_student.tokenizer, lens_student.config
    )
    for row in dataset_examples(outcome["data"], outcome["plan"]):
        if row_filter.refusal(row) or out.where(row):
            continue
        # A source row's examples, its counterfactuals too, stay on one side.
        name = str(row["key"])
        for sample in objective.samples(row, 1.0):
            encoder_decoder = lens_student.student.kind == "seq2seq"
            # A decoder reads one token behind.
            yield (
                name,
                LensInput(sample.ids[:-1] if encoder_decoder else sample.ids, sample.encoder_ids),
            )
