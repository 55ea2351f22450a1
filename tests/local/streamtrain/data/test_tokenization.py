"""Examples as tokens and loss weights; and chats: the same tokens wherever they are asked."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from raygen.engines.base import Completion, Message, Request
from raygen.engines.models.prompt_tokens import PromptTokenizer
from streamtrain.cli.main import main
from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.config.target import MARKER, TargetSpan
from streamtrain.data.examples import Example, make_example
from streamtrain.data.tokenization import ExampleTokenizer, LengthLimits, make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation.predictions import evaluate_student, label_branch, prompt_format
from streamtrain.evaluation.votes import Samples, vote_with
from streamtrain.heldout.questions import Question
from streamtrain.models.student import load_student, model_source
from streamtrain.run.spec import RunSpec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.outcome import read_outcome, write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep

EOS = 0


class FakeTokenizer:
    """A fake tokenizer: one token for every character, after a beginning-of-text token."""

    eos_token_id = EOS

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, Any]:
        ids = [ord(character) for character in text]
        return {"input_ids": [1, *ids] if add_special_tokens else ids}


def example_tokenizer(
    weights: Mapping[str, float] | None = None, max_input: int = 50, max_target: int = 50
) -> ExampleTokenizer:
    weights = weights or {"rationale": 1.0, "label": 1.0}
    return ExampleTokenizer(FakeTokenizer(), LengthLimits(max_input, max_target), weights)


EXAMPLE = Example("ask", (TargetSpan("label", " B"), TargetSpan("rationale", " so")), 2.0)


def test_input_tokens_weigh_nothing_and_spans_what_was_configured() -> None:
    encoded = example_tokenizer({"rationale": 0.5, "label": 3.0}).example(EXAMPLE)
    assert encoded.ids == (1, *map(ord, "ask B so"), EOS)
    # The end of sequence weighs what the span before it does; the view doubles everything.
    assert encoded.weights == (0, 0, 0, 0, 6, 6, 1, 1, 1, 1)
    assert not encoded.cut


def test_a_long_input_loses_its_beginning_and_a_long_target_its_end() -> None:
    encoded = example_tokenizer(max_input=2, max_target=3).example(EXAMPLE)
    assert encoded.ids == tuple(map(ord, "sk B "))
    assert encoded.weights == (0, 0, 2, 2, 2)
    assert encoded.cut


def test_spans_may_weigh_the_same_whatever_their_length() -> None:
    per_span = ExampleTokenizer(
        FakeTokenizer(), LengthLimits(50, 50), {"rationale": 0.5, "label": 3.0}, per_span=True
    )
    weights = per_span.example(EXAMPLE).weights
    assert weights[4:6] == (3.0, 3.0)
    assert weights[6:] == (0.25,) * 4


def test_a_span_that_is_cut_weighs_as_much_as_a_whole_one() -> None:
    weights = {"rationale": 1.0, "label": 1.0}
    cut = ExampleTokenizer(FakeTokenizer(), LengthLimits(50, 4), weights, per_span=True).example(
        EXAMPLE
    )
    assert cut.cut
    assert cut.weights[4:] == (1.0, 1.0, 1.0, 1.0)


CPU = torch.device("cpu")
ROW: dict[str, Any] = {
    "id": "e1",
    "question": "What cuts paper?",
    "choices": ["milk", "scissors"],
    "answer": 1,
    "rationale": "So.",
}
QUESTION = Question(ROW["question"], tuple(ROW["choices"]), 1)
INPUT = "Question: What cuts paper?\nOptions:\n(A) milk\n(B) scissors\nAnswer:"


def config(model: Path, **data: Any) -> StudentConfig:
    return StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(model),
            "tune": {"method": "full"},
            "data": {"chat": True, "max_target": 32, **data},
            "optim": {"lr": 3e-3, "clip": None},
        }
    )


def tokenizers_of(settings: StudentConfig) -> tuple[ExampleTokenizer, Any]:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(settings.model)
    return make_example_tokenizer(settings, tokenizer), tokenizer


class Listener:
    """A fake engine that keeps what it is asked."""

    def __init__(self) -> None:
        self.heard: list[Request] = []

    async def generate(self, request: Request) -> list[Completion]:
        self.heard.append(request)
        return [Completion(f"{MARKER} B {MARKER}")] * request.sampling.n


async def test_training_evaluation_and_votes_ask_with_the_same_ids(tiny_model: Path) -> None:
    settings = config(tiny_model)
    example_tokenizer, tokenizer = tokenizers_of(settings)
    how = prompt_format(settings.data)
    trained = example_tokenizer.example(make_example(ROW, settings.data))
    input_ids, begun, _ = label_branch(example_tokenizer, QUESTION, None, how)
    scored_ids = [*input_ids, *begun]
    listener = Listener()
    await vote_with(listener, [QUESTION], how, Samples(2))  # type: ignore[arg-type]
    (request,) = listener.heard
    sent = PromptTokenizer("e", "m", tokenizer, None).prompt(request.prompt)

    expected = f"<|user|>{INPUT}\n<|assistant|>"
    assert request.prompt == (Message("user", INPUT),)
    assert tokenizer.decode(sent) == expected
    assert trained.weights[: len(sent)] == (0.0,) * len(sent)
    assert list(trained.ids[: len(sent)]) == sent == example_tokenizer.prompt(INPUT)[0]
    assert scored_ids[: len(sent)] == sent
    assert list(trained.ids[: len(scored_ids)]) == scored_ids
    # Nothing parts the answer from the turn.
    assert tokenizer.decode(trained.ids) == f"{expected}{MARKER} B {MARKER} So.</s>"


def test_a_beginning_of_text_is_never_doubled(tiny_model: Path) -> None:
    from tokenizers.processors import TemplateProcessing

    settings = config(tiny_model)
    _, tokenizer = tokenizers_of(settings)
    tokenizer.backend_tokenizer.post_processor = TemplateProcessing(
        single="<s> $A", special_tokens=[("<s>", 0)]
    )
    tokenizer.chat_template = "{{ bos_token }}" + tokenizer.chat_template
    assert tokenizer("x")["input_ids"][0] == 0
    ids, _ = make_example_tokenizer(settings, tokenizer).prompt("x")
    assert ids.count(0) == 1


@pytest.mark.parametrize("placement", ["after", "before", "none"])
def test_a_target_of_a_turn_begins_without_a_space(placement: str) -> None:
    data = DataConfig.model_validate({"chat": True, "rationale": placement})
    text = "".join(span.text for span in make_example(ROW, data).target)
    assert (
        text
        == {
            "after": f"{MARKER} B {MARKER} So.",
            "before": f"So. {MARKER} B {MARKER}",
            "none": f"{MARKER} B {MARKER}",
        }[placement]
    )
    assert data.form.parse(text, ("A", "B")) == 1


def test_a_missing_chat_template_is_an_error_before_anything_is_learned(tiny_model: Path) -> None:
    settings = config(tiny_model)
    _, tokenizer = tokenizers_of(settings)
    tokenizer.chat_template = None
    with pytest.raises(InputError, match=r"data.chat: .*no chat template; set chat: false"):
        make_example_tokenizer(settings, tokenizer)


def test_a_template_that_refuses_is_reported_as_well(tiny_model: Path) -> None:
    settings = config(tiny_model)
    _, tokenizer = tokenizers_of(settings)
    tokenizer.chat_template = "{{ raise_exception('no users here') }}"
    with pytest.raises(InputError, match=r"data.chat: .*no users here"):
        make_example_tokenizer(settings, tokenizer)


def test_a_finished_run_is_evaluated_as_it_was_trained(tiny_model: Path, tmp_path: Path) -> None:
    settings = config(tiny_model, rationale="before", marker="####")
    torch.manual_seed(0)
    student = load_student(model_source(settings), settings.tune, CPU)
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    for number in range(60):
        train_step.step([ROW], number, 1.0)
    assert evaluate_student(student, train_step.tokenizer, [QUESTION], settings.data).correct == 1

    out = tmp_path / "run"
    out.mkdir()
    write_outcome(
        RunSpec(settings, str(tiny_model), "d", out, None), student, TrainProgress({}), None
    )
    assert read_outcome(out, CPU)[1].data == settings.data
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps(ROW) + "\n")
    for words in ((), ("--samples", "2", "--backend", "transformers")):
        done = CliRunner().invoke(main, ["eval", str(out), "--data", str(held), "--json", *words])
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["correct"] == 1
