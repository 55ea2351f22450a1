"""What a student writes out for a question: its rationale, and the option that it names with it.

Knows nothing of teachers, or of how good a rationale is.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from streamtrain.config import StudentConfig
from streamtrain.data import ExampleTokenizer, InputVariant, input_text, label_texts
from streamtrain.errors import InputError
from streamtrain.evaluation import PromptFormat, inference_mode, write_texts
from streamtrain.heldout import Prediction, Question
from streamtrain.models import Student


@dataclass(frozen=True, slots=True)
class WrittenRationale:
    """A whole text of a student, its rationale, and the option of its label; None where it names
    none that can be read."""

    text: str
    rationale: str
    choice: int | None


def check_writes_rationales(config: StudentConfig) -> None:
    """Raise InputError for a student that writes no rationales."""
    if config.kind == "classifier":
        raise InputError("a classifier writes nothing, so it has no rationales")
    if config.data.form.placement == "none":
        raise InputError(
            "this student is trained on labels alone (data.rationale: none), so it has no "
            "rationales; ask one that is trained on them"
        )


def write_rationales(
    student: Student,
    encoder: ExampleTokenizer,
    questions: Sequence[Question],
    how: PromptFormat,
    answers: Sequence[Prediction],
) -> list[WrittenRationale]:
    """Return what the student writes for each question, greedily and to its end.

    Where the rationale is a task of its own it comes without a label: then the choice is that of
    the `answers`.
    """
    alone = how.data.form.placement == "task"
    variant = InputVariant(how.view, "rationale" if alone else "label")
    prompts = [
        input_text(how.data, question.question, question.choices, variant) for question in questions
    ]
    with inference_mode(student):
        texts = write_texts(student, encoder, prompts)
    return [
        WrittenRationale(
            text,
            how.data.form.rationale_of(text, label_texts(question.choices, how.data.label)),
            answer.choice if alone else how.parse(text, question),
        )
        for text, question, answer in zip(texts, questions, answers, strict=True)
    ]
