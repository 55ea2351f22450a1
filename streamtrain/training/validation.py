"""Evaluations in parallel to training: weights of a step go out, metrics come back later.

What runs them is behind a protocol. Knows nothing of Ray or of the loop.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Protocol

import torch

from streamtrain.config import DataConfig
from streamtrain.data import ExampleTokenizer, make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation import Evaluation, evaluate_student
from streamtrain.heldout import HeldOutFile, read_held_out
from streamtrain.models import Student, load_student, model_source
from streamtrain.run import RunSpec
from streamtrain.training import checkpoint


class Validator(Protocol):
    """Evaluates weights on the select set while training goes on."""

    def start(self, step: int, weights: Path) -> None:
        """Start to evaluate the weights of a step, in the folder `weights`; returns at once."""
        ...

    def finished(self, wait: bool) -> Mapping[int, Mapping[str, Any]]:
        """Return the metrics by step that arrived since the last call; with `wait`, of all
        evaluations.

        Raises StreamtrainError if an evaluation failed.
        """
        ...


def validate_weights(job: RunSpec, weights: Path, device: torch.device) -> dict[str, Any]:
    """Evaluate a run's student with these weights on its select set; returns metrics without
    predictions.

    Raises InputError if the weights or the set can't be read.
    """
    config = job.config
    if job.select is None:
        raise InputError("evaluate.select is not set, so there is nothing to select by")
    source = replace(model_source(config), model=job.model)
    student = load_student(source, config.tune, device, config.data.new_tokens)
    checkpoint.load_weights(weights, student)
    held_out = read_held_out(job.select, config.data.labels or ())
    tokenizer = make_example_tokenizer(config, student.tokenizer)
    return evaluate_held_out(student, tokenizer, held_out, config.data).to_json(predictions=False)


def evaluate_held_out(
    student: Student, tokenizer: ExampleTokenizer, held_out: HeldOutFile, data: DataConfig
) -> Evaluation:
    """Evaluate the student on a file's questions, counting the rows that are left out of it."""
    scores = evaluate_student(student, tokenizer, held_out.questions, data)
    return replace(scores, invalid=len(held_out.invalid))
