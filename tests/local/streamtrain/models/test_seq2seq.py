"""Students with an encoder and a decoder: T5 and BART learn, answer, save and load."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.data.examples import make_example
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.evaluation.predictions import evaluate_student, predict, prompt_format
from streamtrain.heldout.questions import Question
from streamtrain.losses.language_model import LanguageModelObjective
from streamtrain.models.seq2seq import branch_scores
from streamtrain.models.student import Student, check_packable, load_student, model_source
from streamtrain.run.spec import RunSpec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.outcome import read_outcome, write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def family(kind: str, folder: Path, tiny_model: Path) -> Path:
    """A folder with a random model of one of the families, and the tiny tokenizer."""
    from transformers import AutoConfig, AutoModelForSeq2SeqLM, AutoTokenizer

    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    sizes: dict[str, Any] = {"vocab_size": 400, "d_model": 32}
    if kind == "t5":
        sizes |= {"d_ff": 64, "d_kv": 16, "num_layers": 2, "num_heads": 2, "dropout_rate": 0.0}
        sizes |= {"decoder_start_token_id": 2, "feed_forward_proj": "gated-gelu"}
    else:
        for side in ("encoder", "decoder"):
            sizes |= {f"{side}_layers": 2, f"{side}_attention_heads": 2, f"{side}_ffn_dim": 64}
        sizes |= {"decoder_start_token_id": 1, "forced_eos_token_id": 1, "dropout": 0.0}
        sizes["init_std"] = 0.1
    torch.manual_seed(0)
    path = folder / kind
    model = AutoModelForSeq2SeqLM.from_config(AutoConfig.for_model(kind, **sizes, **ids))
    model.save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(path)
    return path


def config(model: Path, **more: Any) -> StudentConfig:
    settings: dict[str, Any] = {
        "student": "tiny",
        "version": 1,
        "model": str(model),
        "kind": "seq2seq",
        "tune": {"method": "full"},
        "optim": {"lr": 3e-3, "clip": None},
        **more,
    }
    return StudentConfig.model_validate(settings)


def train_step(settings: StudentConfig) -> TrainStep:
    torch.manual_seed(0)
    source = replace(model_source(settings), attention=settings.attention)
    student = load_student(source, settings.tune, CPU)
    return TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "question": f"Which number is {number}? " * (1 + number % 3),
            "choices": ["none", str(number), "all"],
            "answer": number % 3,
            "view": "positive",
            "rationale": f"It says {number} " * (1 + number % 4),
        }
        for number in range(count)
    ]


def gradients(student: Student) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for _, p in student.trainable() if p.grad is not None])


class FakeOptimizer(torch.optim.SGD):
    """A fake optimizer that keeps the gradients for the test to look at."""

    gradient: torch.Tensor

    def step(self, closure: Any = None) -> None:
        parameters = self.param_groups[0]["params"]
        self.gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


@pytest.mark.parametrize(
    ("kind", "attention", "pack"),
    [
        ("t5", "sdpa", False),
        ("bart", "eager", True),
        pytest.param("t5", "sdpa", True, marks=pytest.mark.slow),
        pytest.param("t5", "eager", False, marks=pytest.mark.slow),
        pytest.param("t5", "eager", True, marks=pytest.mark.slow),
        pytest.param("bart", "sdpa", False, marks=pytest.mark.slow),
        pytest.param("bart", "sdpa", True, marks=pytest.mark.slow),
        pytest.param("bart", "eager", False, marks=pytest.mark.slow),
    ],
)
def test_a_step_has_the_loss_and_gradient_of_the_definition(
    tiny_model: Path,
    tmp_path: Path,
    kind: str,
    attention: str,
    pack: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """One example at a time, the decoder reading what it wrote before, every token by itself."""
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 200})
    more = {"objective": {"weights": {"rationale": 0.3, "label": 2.0}}, "data": {"pack": pack}}
    weights = more["objective"]["weights"]
    made = train_step(config(family(kind, tmp_path, tiny_model), attention=attention, **more))
    check_packable(made.student)
    student, total, weighed = made.student, torch.zeros(()), 0.0
    start = student.model.config.decoder_start_token_id
    for row in rows(3):
        example = make_example(row, DataConfig())
        input_ids = torch.tensor([student.tokenizer(example.prompt)["input_ids"]])
        before = [start]
        spans = [
            (span.kind, student.tokenizer(span.text, add_special_tokens=False)["input_ids"])
            for span in example.target
        ]
        spans[-1][1].append(student.tokenizer.eos_token_id)
        for span, ids in spans:
            for token in ids:
                logits = student.model(
                    input_ids=input_ids, decoder_input_ids=torch.tensor([before])
                ).logits[0, -1]
                total = total - weights[span] * torch.log_softmax(logits, dim=-1)[token]
                weighed += weights[span]
                before.append(token)
    expected = total / weighed
    expected.backward()
    reference = gradients(student)
    student.model.zero_grad(set_to_none=True)
    made.optimizer = optimizer = FakeOptimizer([p for _, p in student.trainable()])
    assert made.step(rows(3), 0, 1.0).loss == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(optimizer.gradient, reference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_a_file_that_asks_for_packing_trains_by_length(
    tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    """Files of 0.1.0 say `pack: true` for such students; their runs go on with the same losses."""
    model = family(kind, tmp_path, tiny_model)
    losses = {}
    for pack in (True, False):
        made = train_step(config(model, data={"pack": pack}))
        check_packable(made.student)
        groups = LanguageModelObjective(
            made.student, made.tokenizer, config(model, data={"pack": pack})
        )
        samples = [sample for row in rows(9) for sample in groups.samples(row, 1.0)]
        split = [loss.args[0] for loss in groups.losses(samples, 300) if isinstance(loss, partial)]
        assert len(split) > 1
        assert all(len(row) == 1 for group in split for row in group)
        lengths = [one.tokens for group in split for row in group for one in row]
        assert lengths == sorted(lengths, reverse=True)
        losses[pack] = [made.step(rows(9), number, 1.0).loss for number in range(3)]
    assert losses[True] == losses[False]


def test_packing_with_an_encoder_is_refused_for_no_family(tiny_model: Path, tmp_path: Path) -> None:
    student = train_step(config(family("t5", tmp_path, tiny_model))).student
    student.model.config.model_type = "unheard-of"
    check_packable(student)


@pytest.mark.parametrize("kind", ["t5", "bart"])
def test_options_are_scored_by_the_decoder(tiny_model: Path, tmp_path: Path, kind: str) -> None:
    """In one batch or one token at a time: the same log-probabilities."""
    student = train_step(config(family(kind, tmp_path, tiny_model))).student
    student.model.eval()
    branches = [([5, 6, 7], [8, 9], [[10], [11, 12, 13]]), ([14] * 6, [15], [[16, 17], [18]])]
    with torch.inference_mode():
        for branch, found in zip(branches, branch_scores(student, branches), strict=True):
            input_ids, begun, options = branch
            for option, score in zip(options, found, strict=True):
                expected, before = 0.0, [student.model.config.decoder_start_token_id, *begun]
                for token in option:
                    logits = student.model(
                        input_ids=torch.tensor([input_ids]),
                        decoder_input_ids=torch.tensor([before]),
                    ).logits[0, -1]
                    expected += float(torch.log_softmax(logits, dim=-1)[token])
                    before.append(token)
                assert score == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize(
    ("kind", "method", "rationale"),
    [
        ("bart", "lora", "after"),
        pytest.param("t5", "full", "before", marks=pytest.mark.slow),
        pytest.param("bart", "full", "before", marks=pytest.mark.slow),
        pytest.param("t5", "lora", "after", marks=pytest.mark.slow),
    ],
)
def test_it_learns_answers_and_is_the_same_after_saving(
    tiny_model: Path, tmp_path: Path, kind: str, method: str, rationale: str
) -> None:
    model = family(kind, tmp_path, tiny_model)
    lr = 1e-2 if method == "lora" else 3e-3
    settings = config(
        model,
        tune={"method": method},
        data={"rationale": rationale, "max_target": 40},
        optim={"lr": lr},
    )
    made = train_step(settings)
    batch = [{**row, "rationale": "So."} for row in rows(2)]
    losses = [made.step(batch, number, 1.0).loss for number in range(50)]
    assert losses[-1] < (losses[0] / 2 if method == "full" else losses[0] - 0.3)
    questions = [Question(r["question"].strip(), tuple(r["choices"]), r["answer"]) for r in batch]
    if method == "full":
        found = evaluate_student(made.student, made.tokenizer, questions, settings.data)
        assert (found.correct, found.unparsed) == (2, 0)

    job = RunSpec(settings, str(model), "data", tmp_path / "out", None)
    folder = write_outcome(job, made.student, TrainProgress({}), None)
    loaded, loaded_config = read_outcome(folder, CPU)
    how = prompt_format(loaded_config.data, "scored")
    was = predict(made.student, made.tokenizer, questions, how)
    now = predict(loaded, make_example_tokenizer(loaded_config, loaded.tokenizer), questions, how)
    for one, other in zip(was, now, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-4)
        assert one.text == other.text
