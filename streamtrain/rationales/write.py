"""A student's written rationale for a question, and the option that it names with it.

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
    """A student's whole generated text, its rationale, and the index of the option that it names;
    None if that can't be parsed."""

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
    tokenizer: ExampleTokenizer,
    questions: Sequence[Question],
    how: PromptFormat,
    answers: Sequence[Prediction],
) -> list[WrittenRationale]:
    """Generate a rationale for each of `questions`, greedily and to its end.

    `tokenizer` is the student's, `how` the format of its prompts. A rationale that is a task of its
    own comes without a label; its choice is then that of `answers`, one per question.
    """
    alone = how.data.form.placement == "task"
    variant = InputVariant(how.view, "rationale" if alone else "label")
    prompts = [
        input_text(how.data, question.question, question.choices, variant) for question in questions
    ]
    with inference_mode(student):
        texts = write_texts(student, tokenizer, prompts)
    return [
        WrittenRationale(
            text,
            how.data.form.rationale_of(text, label_texts(question.choices, how.data.label)),
            answer.choice if alone else how.parse(text, question),
        )
        for text, question, answer in zip(texts, questions, answers, strict=True)
    ]
