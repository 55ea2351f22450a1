"""New tokens of a student: single, trained, and there again after saving."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.student import StudentConfig
from streamtrain.data.examples import make_example
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation.predictions import write_texts
from streamtrain.models.student import ModelSource, load_student
from streamtrain.run.spec import RunSpec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.outcome import read_outcome, write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep
from tests.local.streamtrain.training.test_step import tiny_family

CPU = torch.device("cpu")
TOKENS = ("[MASK]", "[FIN_LABEL]")


pytestmark = pytest.mark.usefixtures("one_thread")


def config(model: Path, method: str) -> StudentConfig:
    return StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(model),
            "tune": {"method": method},
            "data": {"tokens": TOKENS, "nodes": ["masked"]},
            "optim": {"lr": 1e-2, "max_steps": 3},
        }
    )


ROWS: list[dict[str, Any]] = [
    {
        "id": str(i),
        "question": f"Which number is {i}?",
        "choices": ["none", str(i)],
        "answer": 1,
        "rationale": "It is [MASK] and [MASK].",
    }
    for i in range(4)
]


@pytest.mark.parametrize("method", ["full", "lora"])
@pytest.mark.parametrize("tied", [False, True])
def test_new_tokens_are_single_trained_and_saved(
    tiny_model: Path, tmp_path: Path, method: str, tied: bool
) -> None:
    source = tmp_path / "base"
    base = load_student(ModelSource(str(tiny_model)), None, CPU)
    base.model.config.tie_word_embeddings = tied
    base.model.tie_weights()
    base.model.save_pretrained(source)
    base.tokenizer.save_pretrained(source)

    settings = config(source, method)
    torch.manual_seed(0)
    student = load_student(ModelSource(str(source)), settings.tune, CPU, settings.data.tokens)
    ids = student.tokenizer.convert_tokens_to_ids(list(TOKENS))
    assert student.tokenizer.encode("[MASK]", add_special_tokens=False) == ids[:1]
    text = student.tokenizer("It is [MASK]. [FIN_LABEL] B [FIN_LABEL]", return_tensors="pt")
    before = student.model.get_input_embeddings()(torch.tensor(ids)).detach().clone()

    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    for step in range(3):
        train_step.step(ROWS, step, 1.0)
    after = student.model.get_input_embeddings()(torch.tensor(ids)).detach()
    assert not torch.allclose(before, after), "the new tokens were not trained"
    student.model.eval()
    with torch.no_grad():
        trained = student.model(**text).logits

    job = RunSpec(settings, str(source), str(tmp_path / "data"), tmp_path / "out", None)
    folder = write_outcome(job, student, TrainProgress({}), None)
    loaded, _ = read_outcome(folder, CPU)
    loaded.model.eval()
    with torch.no_grad():
        assert torch.allclose(loaded.model(**text).logits, trained, atol=1e-5)


def test_an_adapter_learns_to_write_a_new_token(tiny_model: Path, tmp_path: Path) -> None:
    """Its head isn't tied to what it reads by, and a row of it that isn't trained is never best."""
    settings = config(tiny_model, "lora")
    torch.manual_seed(0)
    student = load_student(ModelSource(str(tiny_model)), settings.tune, CPU, settings.data.tokens)
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    for step in range(60):
        train_step.step(ROWS[:1], step, 1.0)
    # A random model learns little more by an adapter than which tokens there are.
    prompt = make_example(ROWS[0], settings.data).prompt
    (text,) = write_texts(student, train_step.tokenizer, [prompt])
    assert any(token in text for token in TOKENS)
    job = RunSpec(settings, str(tiny_model), str(tmp_path / "data"), tmp_path / "out", None)
    loaded, _ = read_outcome(write_outcome(job, student, TrainProgress({}), None), CPU)
    assert write_texts(loaded, train_step.tokenizer, [prompt]) == [text]


def test_a_head_keeps_its_bias(tiny_model: Path, tmp_path: Path) -> None:
    phi = tiny_family(tiny_model, "phi", "eager")
    torch.nn.init.normal_(phi.model.get_output_embeddings().bias)
    phi.model.save_pretrained(tmp_path)
    phi.tokenizer.save_pretrained(tmp_path)
    student = load_student(ModelSource(str(tmp_path)), config(tmp_path, "lora").tune, CPU, TOKENS)
    ids = torch.tensor([[0, 5, 9]])
    with torch.no_grad():
        expected = phi.model.eval()(ids).logits
        found = student.model.eval()(ids).logits
    torch.testing.assert_close(found[..., : expected.shape[-1]], expected)
    tokenizer = make_example_tokenizer(config(tmp_path, "lora"), student.tokenizer)
    with pytest.raises(InputError, match=r"can't learn to write \[FIN_LABEL\], .* full"):
        TrainStep(student, tokenizer, config(tmp_path, "lora"), SingleProcess())
    TrainStep(replace(student, adapter=False), tokenizer, config(tmp_path, "full"), SingleProcess())


def test_a_token_that_is_there_is_not_added_twice(tiny_model: Path) -> None:
    student = load_student(ModelSource(str(tiny_model)), None, CPU, ("</s>",))
    assert len(student.tokenizer) == len(
        load_student(ModelSource(str(tiny_model)), None, CPU).tokenizer
    )
