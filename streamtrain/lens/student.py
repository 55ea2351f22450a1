"""A student under the lens: loaded, standing still, with its way to be asked.

Knows nothing of layers' readings, or which questions are looked at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from streamtrain.config import StudentConfig
from streamtrain.data import Encoder, make_encoder
from streamtrain.errors import InputError
from streamtrain.evaluation import Asking, asking, label_branch, predict
from streamtrain.heldout import Prediction, Question
from streamtrain.lens.layers import Passage, Reader
from streamtrain.models import Student, device_here
from streamtrain.training import find_student, read_outcome


@dataclass(frozen=True, slots=True)
class Subject:
    """A student and what it takes to ask it; `folder` is the one that holds its weights."""

    label: str
    folder: Path
    config: StudentConfig
    student: Student
    encoder: Encoder
    how: Asking
    reader: Reader

    def answers(self, questions: Sequence[Question]) -> list[Prediction]:
        """Its answer to each question, asked as it is trained."""
        return predict(self.student, self.encoder, questions, self.how)

    def before_label(
        self, question: Question, answer: Prediction
    ) -> tuple[Passage, list[list[int]]]:
        """All that stands before the label, the student's own rationale too where that comes first,
        and the tokens of each option that may follow."""
        given, begun, options = label_branch(self.encoder, question, answer.text, self.how)
        ids = [list(option) for option in options]
        if self.student.kind == "seq2seq":
            return Passage(tuple(begun), tuple(given)), ids
        return Passage((*given, *begun)), ids


def read_subject(folder: Path) -> Subject:
    """The student of a run. Raises InputError where there is none, or it has no lens."""
    found, config = find_student(folder)
    if config.kind == "classifier":
        raise InputError(
            f"{folder}: a classifier has no lens: its head knows classes, not words; "
            "give students of kind: causal or seq2seq"
        )
    student, _ = read_outcome(folder, device_here())
    return Subject(
        f"{config.student} ({folder})",
        found,
        config,
        student,
        make_encoder(config, student.tokenizer),
        asking(config.data),
        Reader(student),
    )
