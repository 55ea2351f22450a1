"""Compiled layers: the same losses, and weights that are saved under the same names."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.step import TrainStep
from tests.unit.streamtrain.training.test_learning import config, load, rows


@pytest.mark.slow
@pytest.mark.parametrize("method", ["full", "lora"])
def test_compiled_layers_learn_the_same_under_the_same_names(tiny_model: Path, method: str) -> None:
    learned = []
    for compiled in (False, True):
        torch._dynamo.utils.counters.clear()
        settings = config(
            tiny_model, tune={"method": method}, optim={"lr": 1e-3, "compile": compiled}
        )
        student = load(tiny_model, method)
        learner = TrainStep(
            student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
        )
        losses = [learner.step(rows(4), number, 1.0).loss for number in range(3)]
        assert bool(torch._dynamo.utils.counters["stats"]["unique_graphs"]) is compiled
        learned.append((losses, dict(student.trainable())))
    (plain, before), (fast, after) = learned
    assert fast == pytest.approx(plain, rel=1e-4)
    assert list(before) == list(after)
