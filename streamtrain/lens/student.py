"""A student under the lens: loaded, standing still, with its way to be asked.

Knows nothing of layers' readings, or which questions are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtrain.config import StudentConfig
from streamtrain.data import ExampleTokenizer, make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation import PromptFormat, label_branch, predict, prompt_format
from streamtrain.heldout import Prediction, Question
from streamtrain.lens.layers import LayerReader, LensInput
from streamtrain.models import Student, default_device
from streamtrain.training import find_student, read_outcome


@dataclass(frozen=True, slots=True)
class LensStudent:
    """A student and what it takes to ask it; `folder` is the one that holds its weights."""

    label: str
    folder: Path
    config: StudentConfig
    student: Student
    encoder: ExampleTokenizer
    how: PromptFormat
    reader: LayerReader

    def answers(self, questions: Sequence[Question]) -> list[Prediction]:
        """Return its answer to each question, asked as it is trained."""
        return predict(self.student, self.encoder, questions, self.how)

    def before_label(
        self, question: Question, answer: Prediction
    ) -> tuple[LensInput, list[list[int]]]:
        """Return all that stands before the label, the student's own rationale too where that
        comes first, and the tokens of each option that may follow."""
        encoder_ids, target_start, options = label_branch(
            self.encoder, question, answer.text, self.how
        )
        ids = [list(option) for option in options]
        if self.student.kind == "seq2seq":
            return LensInput(tuple(target_start), tuple(encoder_ids)), ids
        return LensInput((*encoder_ids, *target_start)), ids


def load_lens_student(folder: Path) -> LensStudent:
    """Return the student of a run. Raises InputError where there is none, or it has no lens."""
    student_folder, config = find_student(folder)
    if config.kind == "classifier":
        raise InputError(
            f"{folder}: a classifier has no lens: its head knows classes, not words; "
            "give students of kind: causal or seq2seq"
        )
    student, _ = read_outcome(folder, default_device())
    return LensStudent(
        f"{config.student} ({folder})",
        student_folder,
        config,
        student,
        make_example_tokenizer(config, student.tokenizer),
        prompt_format(config.data),
        LayerReader(student),
    )
