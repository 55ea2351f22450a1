"""Evaluations beside the training loop: weights of a step go out, figures come back later.

What runs them is behind a protocol. Knows nothing of Ray or of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from streamtrain.data import make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation import evaluate_student
from streamtrain.heldout import read_questions
from streamtrain.models import load_student, model_source
from streamtrain.run import RunSpec
from streamtrain.training import checkpoint


class Validator(Protocol):
    """Evaluates weights on the select set while training goes on."""

    def start(self, step: int, weights: Path) -> None:
        """Begin with the weights of a step, which lie in the folder `weights`; returns at once."""
        ...

    def finished(self, wait: bool) -> Mapping[int, Mapping[str, Any]]:
        """The figures by step that came in since the last call; with `wait`, of all begun.

        Raises StreamtrainError where an evaluation failed.
        """
        ...


def validate_weights(job: RunSpec, weights: Path, device: torch.device) -> dict[str, Any]:
    """The figures of a run's student with these weights on its select set, without predictions.

    Raises InputError where one of them can't be read.
    """
    config = job.config
    if job.select is None:
        raise InputError("evaluate.select is not set, so there is nothing to select by")
    source = replace(model_source(config), model=job.model)
    student = load_student(source, config.tune, device, config.data.new_tokens)
    checkpoint.load_weights(weights, student)
    questions = read_questions(job.select, config.data.labels or ())
    encoder = make_example_tokenizer(config, student.tokenizer)
    return evaluate_student(student, encoder, questions, config.data).to_json(predictions=False)
