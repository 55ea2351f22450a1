"""Losses, steps, evaluation and checkpoints of a real but tiny model, against plain references."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.data.batches import collate
from streamtrain.data.cursor import Cursor
from streamtrain.data.examples import make_example
from streamtrain.data.tokenization import ExampleTokenizer, TokenizedExample, make_example_tokenizer
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.predictions import evaluate_student, tree_scores, write_texts
from streamtrain.heldout.prediction import Prediction
from streamtrain.heldout.questions import Question
from streamtrain.losses.functional import weighted_nll
from streamtrain.models.student import (
    ModelSource,
    Student,
    check_packable,
    load_student,
    save_final,
)
from streamtrain.run.spec import order_settings
from streamtrain.training import checkpoint
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def config(model: Path, **more: Any) -> StudentConfig:
    data = {"student": "tiny", "version": 1, "model": str(model), "optim": {"lr": 1e-2}, **more}
    return StudentConfig.model_validate(data)


def load(model: Path, method: str = "full") -> Student:
    torch.manual_seed(0)
    tune = StudentConfig.model_validate(
        {"student": "tiny", "version": 1, "model": "m", "tune": {"method": method}}
    ).tune
    return load_student(ModelSource(str(model)), tune, CPU)


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "question": f"Which number is {number}? " * (1 + number % 3),
            "choices": ["none", str(number), "all"],
            "answer": 1,
            "view": "positive" if number % 2 else "negative",
            "rationale": f"It says {number} " * (1 + number % 4),
        }
        for number in range(count)
    ]


def plain_loss(student: Student, sequences: list[TokenizedExample]) -> torch.Tensor:
    """The loss as its definition says: one sequence at a time, every token by itself."""
    total, weight = torch.zeros(()), 0.0
    for one in sequences:
        logits = student.model(torch.tensor([one.ids])).logits[0]
        for position in range(1, len(one.ids)):
            nll = -torch.log_softmax(logits[position - 1], dim=-1)[one.ids[position]]
            total = total + one.weights[position] * nll
            weight += one.weights[position]
    return total / weight


def gradients(student: Student) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for _, p in student.trainable() if p.grad is not None])


class FakeOptimizer(torch.optim.SGD):
    """A fake optimizer that keeps the gradients for the test to look at."""

    gradient: torch.Tensor

    def step(self, closure: Any = None) -> None:
        parameters = self.param_groups[0]["params"]
        self.gradient = torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def test_the_weighted_loss_is_what_its_definition_says() -> None:
    torch.manual_seed(1)
    logits, targets = torch.randn(4, 7), torch.tensor([0, 3, 6, 3])
    weights = torch.tensor([1.0, 0.0, 0.5, 2.0])
    expected = sum(
        weights[n].item() * -math.log(math.exp(logits[n, t]) / logits[n].exp().sum().item())
        for n, t in enumerate(targets.tolist())
    )
    assert weighted_nll(logits, targets, weights).item() == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("pack", [False, True])
def test_a_step_has_the_loss_and_gradient_of_the_definition(
    tiny_model: Path, pack: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the micro-batches and the packing; span and view weights included."""
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 200})
    student = load(tiny_model)
    settings = config(
        tiny_model,
        data={"pack": pack, "views": {"positive": 1.0, "negative": 0.5}},
        objective={"weights": {"rationale": 0.3, "label": 2.0}},
        optim={"lr": 1e-2, "clip": None},
    )
    tokenizer = make_example_tokenizer(settings, student.tokenizer)
    views = {"positive": 1.0, "negative": 0.5}
    sequences = [
        tokenizer.example(make_example(row, DataConfig(), weight=views[row["view"]]))
        for row in rows(7)
    ]
    expected = plain_loss(student, sequences)
    expected.backward()
    reference = gradients(student)
    student.model.zero_grad(set_to_none=True)
    train_step = TrainStep(student, tokenizer, settings, SingleProcess())
    train_step.optimizer = optimizer = FakeOptimizer([p for _, p in student.trainable()])
    done = train_step.step(rows(7), 0, 1.0)
    assert done.loss == pytest.approx(expected.item(), rel=1e-5)
    assert done.tokens == sum(len(one.ids) for one in sequences)
    torch.testing.assert_close(optimizer.gradient, reference, rtol=1e-3, atol=1e-6)


def test_prompt_tokens_carry_no_loss(tiny_model: Path) -> None:
    """Another target token changes the loss; what comes before the target has no weight."""
    student = load(tiny_model)
    tokenizer = make_example_tokenizer(config(tiny_model), student.tokenizer)
    one = tokenizer.example(make_example(rows(1)[0], DataConfig()))
    prompt = len(student.tokenizer(make_example(rows(1)[0], DataConfig()).prompt)["input_ids"])
    assert set(one.weights[:prompt]) == {0.0}
    assert set(one.weights[prompt:]) == {1.0}


@pytest.mark.parametrize("kind", ["gpt2", "opt", "gpt_neo", "llama", "qwen2", "gemma", "phi"])
@pytest.mark.parametrize("attention", ["sdpa", "eager"])
def test_packed_logits_equal_unpacked_ones(tiny_model: Path, kind: str, attention: str) -> None:
    student = tiny_family(tiny_model, kind, attention)
    check_packable(student)
    sequences = [
        TokenizedExample(tuple(range(3, 3 + n)), (0.0,) + (1.0,) * (n - 1)) for n in (9, 4, 13)
    ]
    packed = collate([sequences], student.pad)
    with torch.no_grad():
        logits = student.logits(packed, torch.arange(packed.ids.shape[1]))[0]
        start = 0
        for one in sequences:
            alone = student.model(torch.tensor([one.ids])).logits[0]
            torch.testing.assert_close(
                logits[start : start + len(one.ids)], alone, rtol=1e-4, atol=1e-5
            )
            start += len(one.ids)


def tiny_family(tiny_model: Path, kind: str, attention: str) -> Student:
    """A random model of one of the families, with the tiny tokenizer."""
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    sizes: dict[str, Any] = {
        "vocab_size": 400,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
    }
    sizes |= {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    if kind == "gpt2":
        sizes |= {"n_embd": 32, "n_layer": 2, "n_head": 2}
    elif kind == "gpt_neo":
        sizes |= {"num_layers": 2, "attention_types": [[["global", "local"], 1]], "window_size": 4}
        sizes |= {"num_heads": 2}
        del sizes["num_hidden_layers"], sizes["num_attention_heads"]
    elif kind == "opt":
        sizes |= {"ffn_dim": 64, "word_embed_proj_dim": 32}
    else:
        sizes |= {"intermediate_size": 64, "num_key_value_heads": 1, "head_dim": 16}
        if kind == "phi":
            sizes["num_key_value_heads"] = 2
    torch.manual_seed(0)
    settings = AutoConfig.for_model(kind, **sizes)
    if attention == "sdpa" and kind == "gpt_neo":
        pytest.skip("GPT-Neo has no sdpa attention")
    model = AutoModelForCausalLM.from_config(settings, attn_implementation=attention)
    return Student(model.eval(), AutoTokenizer.from_pretrained(tiny_model), False, CPU)


def test_packing_is_refused_where_it_is_not_known_to_be_right(tiny_model: Path) -> None:
    student = load(tiny_model)
    student.model.config.model_type = "mamba"
    with pytest.raises(InputError, match="not available yet for mamba"):
        check_packable(student)


def test_training_learns(tiny_model: Path) -> None:
    student = load(tiny_model, "lora")
    settings = config(tiny_model, optim={"lr": 1e-2})
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    losses = [train_step.step(rows(4), number, 1.0).loss for number in range(20)]
    assert losses[-1] < losses[0] - 0.5


def test_a_lora_trains_the_linear_layers_and_not_the_head(tiny_model: Path) -> None:
    names = [name for name, _ in load(tiny_model, "lora").trainable()]
    assert all("lora_" in name for name in names)
    assert any("q_proj" in name for name in names)
    assert any("down_proj" in name for name in names)
    assert not any("lm_head" in name for name in names)


@pytest.mark.parametrize("option", ["dora", "rslora"])
def test_the_options_of_an_adapter_reach_it(tiny_model: Path, option: str) -> None:
    tune = config(tiny_model, tune={"r": 4, "alpha": 8, option: True}).tune
    student = load_student(ModelSource(str(tiny_model)), tune, CPU)
    magnitudes = [name for name, _ in student.trainable() if "lora_magnitude_vector" in name]
    assert bool(magnitudes) == (option == "dora")
    scalings = {
        module.scaling["default"]
        for module in student.model.modules()
        if hasattr(module, "lora_A") and hasattr(module, "scaling")
    }
    assert scalings == {8 / math.sqrt(4) if option == "rslora" else 8 / 4}


def test_a_loss_that_is_no_number_stops_the_run_before_the_weights_change(
    tiny_model: Path,
) -> None:
    student = load(tiny_model)
    settings = config(tiny_model)
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    _, first = student.trainable()[0]
    with torch.no_grad():
        first[:, 0] = math.inf
    before = [p.detach().clone() for _, p in student.trainable()]
    with pytest.raises(StreamtrainError, match=r"at step 4 .*lower optim\.lr"):
        train_step.step(rows(2), 3, 1.0)
    for old, (_, new) in zip(before, student.trainable(), strict=True):
        assert torch.equal(old, new.detach())


def test_a_model_that_is_not_there_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="can't load the causal model"):
        load(tmp_path)
    with pytest.raises(InputError, match="bundled"):
        load_student(ModelSource("bundled:nothing"), None, CPU)


def test_options_are_scored_as_continuations_of_the_prompt(tiny_model: Path) -> None:
    """Side by side with a shared prompt, or one sequence at a time: the same log-probabilities."""
    student = load(tiny_model)
    prompt, options = [0, 5, 6, 7, 8], [[9], [10, 11, 12], [9, 13]]
    expected = []
    for option in options:
        logits = student.model(torch.tensor([prompt + option])).logits[0].log_softmax(-1)
        positions = range(len(prompt) - 1, len(prompt) + len(option) - 1)
        expected.append(
            sum(logits[place, token].item() for place, token in zip(positions, option, strict=True))
        )
    with torch.inference_mode():
        (found,) = tree_scores(student, [(prompt, options)])
        assert found == pytest.approx(expected, rel=1e-4)


QUESTIONS = [
    Question("Which? " * (1 + number % 5), ("a", "b", "c", "d"), number % 4) for number in range(9)
]


def test_an_evaluation_does_not_depend_on_its_batches(
    tiny_model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    student = load(tiny_model)
    tokenizer = make_example_tokenizer(config(tiny_model), student.tokenizer)
    together = evaluate_student(student, tokenizer, QUESTIONS, DataConfig())
    monkeypatch.setattr("streamtrain.evaluation.predictions._POSITIONS_PER_FORWARD", 1)
    alone = evaluate_student(student, tokenizer, QUESTIONS, DataConfig(rationale="none"))
    for one, other in zip(together.predictions, alone.predictions, strict=True):
        assert one.choice == other.choice
        assert one.probabilities == pytest.approx(other.probabilities, rel=1e-4)
    assert together.total == 9
    assert together.unparsed == 0


def test_a_student_that_writes_nothing_sensible_is_unparsed_and_wrong(tiny_model: Path) -> None:
    student = load(tiny_model)
    tokenizer = make_example_tokenizer(
        config(tiny_model, data={"max_target": 8}), student.tokenizer
    )
    result = evaluate_student(student, tokenizer, QUESTIONS[:3], DataConfig(rationale="before"))
    assert (result.correct, result.unparsed) == (0, 3)
    assert all(prediction.text for prediction in result.predictions)


@pytest.mark.parametrize("method", ["full", "lora"])
def test_a_model_s_own_way_of_writing_is_left_out(
    tiny_model: Path, tmp_path: Path, method: str
) -> None:
    """Published chat models come with a penalty for repeated words, as an answer's own are."""
    folder = tmp_path / "chat"
    shutil.copytree(tiny_model, folder)
    settings = {"repetition_penalty": 5.0, "no_repeat_ngram_size": 1, "eos_token_id": [1, 7]}
    (folder / "generation_config.json").write_text(json.dumps(settings))
    plain, chat = load(tiny_model, method), load(folder, method)
    tokenizer = make_example_tokenizer(config(tiny_model, data={"max_target": 24}), plain.tokenizer)
    texts = [question.question for question in QUESTIONS]
    assert write_texts(chat, tokenizer, texts) == write_texts(plain, tokenizer, texts)
    assert sorted(chat.model.generation_config.eos_token_id) == [1, 7]


def test_a_student_that_writes_its_label_is_judged_by_it(tiny_model: Path) -> None:
    student = load(tiny_model)
    settings = config(
        tiny_model,
        data={"rationale": "before", "max_target": 64},
        optim={"lr": 3e-3},
    )
    tokenizer = make_example_tokenizer(settings, student.tokenizer)
    train_step = TrainStep(student, tokenizer, settings, SingleProcess())
    row = {**rows(1)[0], "rationale": "So."}
    for number in range(40):
        train_step.step([row], number, 1.0)
    question = Question(row["question"].strip(), tuple(row["choices"]), 1)
    result = evaluate_student(student, tokenizer, [question], DataConfig(rationale="before"))
    assert (result.correct, result.unparsed) == (1, 0)


def test_unparsed_answers_are_wrong_and_counted() -> None:
    result = score_predictions(QUESTIONS[:4], [Prediction(choice) for choice in (0, None, 0, 3)])
    assert (result.correct, result.unparsed, result.accuracy) == (2, 1, 0.5)


@pytest.mark.parametrize("method", ["lora", "full"])
def test_a_checkpoint_brings_back_weights_optimizer_and_progress(
    tiny_model: Path, tmp_path: Path, method: str
) -> None:
    settings = config(tiny_model)

    def train_step() -> TrainStep:
        student = load(tiny_model, method)
        return TrainStep(
            student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
        )

    first = train_step()
    for number in range(3):
        first.step(rows(4), number, 1.0)
    at = TrainProgress(order_settings(settings), Cursor(chunk=2, chunk_start=4, plan="p"), step=3)
    path = checkpoint.save(tmp_path, first.student, first.optimizer, at)
    assert checkpoint.latest(tmp_path) == path
    assert checkpoint.load_progress(path) == at
    second = train_step()
    checkpoint.load_weights(path, second.student, second.optimizer)
    assert first.step(rows(5), 3, 1.0).loss == second.step(rows(5), 3, 1.0).loss
    assert first.step(rows(4), 4, 1.0).loss == second.step(rows(4), 4, 1.0).loss


def test_old_checkpoints_are_dropped_and_a_torn_one_is_ignored(
    tiny_model: Path, tmp_path: Path
) -> None:
    student = load(tiny_model, "lora")
    settings = config(tiny_model)
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    assert checkpoint.latest(tmp_path) is None
    for step in range(1, 5):
        at = TrainProgress(order_settings(settings), step=step)
        checkpoint.save(tmp_path, student, train_step.optimizer, at)
    (tmp_path / ".step-00000009.tmp").mkdir()
    assert sorted(p.name for p in tmp_path.glob("step-*")) == ["step-00000003", "step-00000004"]
    found = checkpoint.latest(tmp_path)
    assert found is not None
    assert found.name == "step-00000004"


def test_a_checkpoint_of_another_student_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    settings = config(tiny_model)
    student = load(tiny_model, "lora")
    train_step = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    at = TrainProgress(order_settings(settings))
    path = checkpoint.save(tmp_path, student, train_step.optimizer, at)
    with pytest.raises(InputError, match="belongs to another student"):
        checkpoint.load_weights(path, load(tiny_model, "full"))


@pytest.mark.parametrize("method", ["lora", "full"])
def test_the_final_folder_is_what_from_pretrained_loads(
    tiny_model: Path, tmp_path: Path, method: str
) -> None:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    student = load(tiny_model, method)
    settings = config(tiny_model)
    tokenizer: ExampleTokenizer = make_example_tokenizer(settings, student.tokenizer)
    TrainStep(student, tokenizer, settings, SingleProcess()).step(rows(4), 0, 1.0)
    save_final(student, tmp_path / "final")
    loaded = AutoModelForCausalLM.from_pretrained(tmp_path / "final")
    assert AutoTokenizer.from_pretrained(tmp_path / "final").eos_token_id == 1
    ids = torch.tensor([[0, 5, 9, 11]])
    student.model.eval()
    with torch.no_grad():
        torch.testing.assert_close(loaded(ids).logits, student.model(ids).logits)


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
        train_step = TrainStep(
            student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
        )
        losses = [train_step.step(rows(4), number, 1.0).loss for number in range(3)]
        assert bool(torch._dynamo.utils.counters["stats"]["unique_graphs"]) is compiled
        learned.append((losses, dict(student.trainable())))
    (plain, before), (fast, after) = learned
    assert fast == pytest.approx(plain, rel=1e-4)
    assert list(before) == list(after)
