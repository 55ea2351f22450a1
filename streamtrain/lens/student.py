"""A finished student in eval mode with its tokenizer and prompt format, ready for lens analysis.

Knows nothing of readouts, or of which questions are looked at.
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
    """A loaded student and what it takes to ask it; `folder` holds its weights."""

    label: str
    folder: Path
    config: StudentConfig
    student: Student
    tokenizer: ExampleTokenizer
    how: PromptFormat
    reader: LayerReader

    def answers(self, questions: Sequence[Question]) -> list[Prediction]:
        """Answer each question in the way that the student was trained for."""
        return predict(self.student, self.tokenizer, questions, self.how)

    def before_label(
        self, question: Question, answer: Prediction
    ) -> tuple[LensInput, list[list[int]]]:
        """Tokenize all that comes before the label, with the student's own rationale if that comes
        first, and each option that may follow."""
        encoder_ids, target_start, options = label_branch(
            self.tokenizer, question, answer.text, self.how
        )
        ids = [list(option) for option in options]
        if self.student.kind == "seq2seq":
            return LensInput(tuple(target_start), tuple(encoder_ids)), ids
        return LensInput((*encoder_ids, *target_start)), ids


def load_lens_student(folder: Path) -> LensStudent:
    """Load the student of a run. Raises InputError if there is none, or it has no lens."""
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
