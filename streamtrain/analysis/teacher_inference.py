"""A teacher model's answers to texts, to compare a student's with.

Only texts and class probabilities are exchanged, so the two may have different vocabularies. Knows
nothing of students' answers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import torch

from raygen.core import expand_home
from streamtrain.config import DataConfig, StudentConfig
from streamtrain.data import class_text, make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.heldout import Question, most_likely_answer
from streamtrain.models import (
    ModelSource,
    Student,
    default_device,
    label_order,
    load_student,
    predict_classes,
)
from streamtrain.training import holds_student, read_outcome


def infer_teacher_answers(
    teacher: str, config: StudentConfig, sets: Sequence[Sequence[Question]]
) -> list[list[Question]]:
    """Add a teacher's answers to the questions of each set.

    `teacher` is a folder (of a run too), a hub id or `bundled:NAME`. A text is truncated where the
    student's is, in the teacher's own tokens, and has the teacher's own input template if it was
    trained with one. Raises InputError if there is no such classifier, or its classes are not the
    student's.
    """
    device = default_device()
    model, data = _load(teacher, device)
    order = label_order(model, config.data.labels or (), f"--teacher {teacher}")
    model.model.eval()
    tokenizer = make_example_tokenizer(config, model.tokenizer)
    answered = []
    for questions in sets:
        with torch.inference_mode():
            predictions = predict_classes(
                model, tokenizer, [class_text(data, each.question) for each in questions]
            )
        answered.append(
            [
                replace(
                    question,
                    teacher_answer=most_likely_answer(
                        [(each.probabilities or ())[output] for output in order], teacher
                    ),
                )
                for question, each in zip(questions, predictions, strict=True)
            ]
        )
    return answered


def _load(teacher: str, device: torch.device) -> tuple[Student, DataConfig]:
    if holds_student(expand_home(teacher)):
        student, config = read_outcome(expand_home(teacher), device)
        if config.kind != "classifier":
            raise InputError(f"--teacher {teacher}: it is a {config.kind}; expected a classifier")
        return student, config.data
    return load_student(ModelSource(teacher, kind="classifier"), None, device), DataConfig()
