"""Learning from a teacher's recorded token probabilities, against a plain reference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.engines.models.fingerprint import vocabulary_fingerprint
from streamtrain.config.student import StudentConfig
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.losses.functional import top_k_kl_divergences
from streamtrain.models.student import load_student, model_source
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.step import TrainStep

CPU = torch.device("cpu")
TOP = 3
KD = {"loss": "kd", "teacher": {"model": "big"}, "alpha": 0.7, "temperature": 1.5}
PROMPT = "Question: Which is it?\nOptions:\n(A) none\n(B) some\nAnswer:"
QUESTION = {"question": "Which is it?", "choices": ["none", "some"], "answer": 1}

pytestmark = pytest.mark.usefixtures("one_thread")


def train_step(model: Path, objective: dict[str, Any] = KD, **data: Any) -> TrainStep:
    settings = StudentConfig.model_validate(
        {
            "student": "t",
            "version": 1,
            "model": str(model),
            "tune": {"method": "full"},
            "objective": objective,
            "data": data,
        }
    )
    torch.manual_seed(0)
    student = load_student(model_source(settings), settings.tune, CPU)
    return TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )


def recorded_row(tokenizer: Any, rationale: str, seed: int, **changes: Any) -> dict[str, Any]:
    """What a teacher might have said of a rationale: random, and it sums to less than 1."""
    tokens = tokenizer(f" {rationale}", add_special_tokens=False)["input_ids"]
    chance = torch.Generator().manual_seed(seed)
    logits = torch.randn(len(tokens), len(tokenizer), generator=chance) * 3
    best = torch.log_softmax(logits, dim=-1).topk(TOP)
    recorded = {
        "vocabulary": vocabulary_fingerprint(tokenizer),
        "tokens": tokens,
        "ids": best.indices.tolist(),
        "logprobs": best.values.tolist(),
    }
    return {
        "token_probabilities": json.dumps(recorded | changes),
        "token_probabilities_teacher": "big",
    }


def rows(tokenizer: Any, count: int = 5) -> list[dict[str, Any]]:
    whys = ["It is so " * (1 + n) + "then" for n in range(count)]
    return [
        {
            **QUESTION,
            "id": str(n),
            "view": "positive",
            "rationale": why,
            **recorded_row(tokenizer, why, n),
        }
        for n, why in enumerate(whys)
    ]


def reference(taught: TrainStep, data: list[dict[str, Any]], limit: int = 10_000) -> float:
    """Mean over the targets' tokens of nll + alpha T^2 KL, written out place by place."""
    tokenizer, model = taught.student.tokenizer, taught.student.model
    total, count = 0.0, 0
    for row in data:
        prompt = list(tokenizer(PROMPT)["input_ids"])
        recorded = json.loads(row["token_probabilities"])
        why = list(recorded["tokens"])
        label = tokenizer(" [FIN_LABEL] B [FIN_LABEL]", add_special_tokens=False)["input_ids"]
        target = [*why, *label, tokenizer.eos_token_id][:limit]
        with torch.no_grad():
            logits = model(torch.tensor([[*prompt, *target]])).logits[0].double()
        logs = torch.log_softmax(logits, dim=-1)
        for at, token in enumerate(target):
            here = logs[len(prompt) + at - 1]
            total -= float(here[token])
            count += 1
            if at < len(why):
                teacher = torch.tensor(recorded["logprobs"][at], dtype=torch.float64).exp()
                student = here[recorded["ids"][at]].exp()
                p = torch.cat([teacher, 1 - teacher.sum()[None]]) ** (1 / KD["temperature"])
                q = torch.cat([student, 1 - student.sum()[None]]) ** (1 / KD["temperature"])
                p, q = p / p.sum(), q / q.sum()
                kl = float((p * (p / q).log()).sum())
                total += KD["alpha"] * KD["temperature"] ** 2 * kl
    return total / count


@pytest.mark.parametrize("pack", [False, True])
def test_the_loss_is_that_of_the_reference(tiny_model: Path, pack: bool) -> None:
    taught = train_step(tiny_model, rationale="before", pack=pack)
    data = rows(taught.student.tokenizer)
    expected = reference(taught, data)
    assert taught.step(data, 0, 0.0).loss == pytest.approx(expected, rel=1e-4)


def test_a_target_that_is_cut_takes_its_probabilities_with_it(tiny_model: Path) -> None:
    taught = train_step(tiny_model, rationale="before", max_target=7)
    data = rows(taught.student.tokenizer)
    assert taught.step(data, 0, 0.0).loss == pytest.approx(reference(taught, data, 7), rel=1e-4)


def test_after_the_label_and_as_a_task_of_its_own(tiny_model: Path) -> None:
    """The probabilities add to the loss wherever the rationale stands, and nowhere else."""
    for placement in ("after", "task"):
        losses = []
        for alpha in (0.0, 1.0):
            taught = train_step(tiny_model, KD | {"alpha": alpha}, rationale=placement)
            losses.append(taught.step(rows(taught.student.tokenizer), 0, 0.0).loss)
        assert losses[1] > losses[0] + 0.01


def test_a_student_that_imitates_comes_nearer_to_its_teacher(tiny_model: Path) -> None:
    far = []
    for alpha in (0.0, 5.0):
        objective = KD | {"alpha": alpha, "temperature": 1.0}
        taught = train_step(tiny_model, objective, rationale="before")
        data = rows(taught.student.tokenizer, 1)
        for number in range(40):
            taught.step(data, number, 20.0)
        far.append(divergence(taught, data))
    assert far[1] < far[0] / 2


def divergence(taught: TrainStep, data: list[dict[str, Any]]) -> float:
    """The mean KL from the recorded classes and the rest, where the rationales stand."""
    tokenizer = taught.student.tokenizer
    taught.student.model.eval()
    found = []
    for row in data:
        recorded = json.loads(row["token_probabilities"])
        prompt = list(tokenizer(PROMPT)["input_ids"])
        with torch.no_grad():
            logits = taught.student.model(torch.tensor([[*prompt, *recorded["tokens"]]])).logits[0]
        ids, logprobs = torch.tensor(recorded["ids"]), torch.tensor(recorded["logprobs"])
        found.append(top_k_kl_divergences(logits[len(prompt) - 1 : -1], ids, logprobs, 1.0).mean())
    return float(torch.stack(found).mean())


def test_no_distance_where_the_student_says_the_same() -> None:
    logits = torch.randn(4, 50) * 4
    best = torch.log_softmax(logits, dim=-1).topk(5)
    far = top_k_kl_divergences(logits, best.indices, best.values, 2.0)
    assert far.abs().max() < 1e-4


def test_a_student_pays_for_weight_on_tokens_that_the_teacher_never_named() -> None:
    ids, logprobs = torch.tensor([[0, 1]]), torch.tensor([[0.6, 0.39]]).log()
    same = torch.log_softmax(torch.tensor([[6.0, 5.57, 0.0, 0.0]]), dim=-1)
    elsewhere = torch.tensor([[6.0, 5.57, 0.0, 12.0]])
    near, far = (top_k_kl_divergences(one, ids, logprobs, 1.0) for one in (same, elsewhere))
    assert far > near + 1


@pytest.mark.parametrize("sure", [0.0, -1e-9])
def test_a_teacher_or_a_student_that_is_quite_sure_gives_finite_gradients(sure: float) -> None:
    logits = torch.tensor([[90.0, -90.0, -90.0]], requires_grad=True)
    told_of = torch.tensor([[sure, -60.0]])
    loss = top_k_kl_divergences(logits, torch.tensor([[1, 0]]), told_of, 2.0).sum()
    loss.backward()
    assert torch.isfinite(loss)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"token_probabilities": None}, "example 0 of the dataset has no token_probabilities"),
        ({"token_probabilities_teacher": "small"}, "are those of 'small'; objective.teacher names"),
        ({"token_probabilities": "{"}, "can't be read"),
        ({"token_probabilities": "[1]"}, "can't be read"),
        ({"rationale": "Something else is so"}, "read the rationale as other tokens"),
    ],
)
def test_what_no_student_can_learn_from_is_refused(
    tiny_model: Path, change: dict[str, Any], message: str
) -> None:
    taught = train_step(tiny_model, rationale="before")
    data = rows(taught.student.tokenizer)
    with pytest.raises(InputError, match=message):
        taught.step([{**data[0], **change}, *data[1:]], 0, 0.0)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"vocabulary": "other"}, "another vocabulary"),
        ({"tokens": [1]}, "1 tokens and"),
        ({"logprobs": [[0.5] * TOP] * 4}, "natural log-probabilities"),
        ({"ids": [[1, 2]] * 4, "logprobs": [[-1.0, -2.0]] * 4}, "different numbers of tokens"),
    ],
)
def test_records_that_do_not_fit_are_refused(
    tiny_model: Path, change: dict[str, Any], message: str
) -> None:
    taught = train_step(tiny_model, rationale="before")
    tokenizer = taught.student.tokenizer
    data = rows(tokenizer)
    size = len(json.loads(data[0]["token_probabilities"])["tokens"])
    fitted = {
        name: (value * size)[:size] if name in ("ids", "logprobs") else value
        for name, value in change.items()
    }
    data[0] |= recorded_row(tokenizer, data[0]["rationale"], 0, **fitted)
    with pytest.raises(InputError, match=message):
        taught.step(data, 0, 0.0)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"kind": "seq2seq"}, "kind: causal or classifier"),
        ({"data": {"rationale": "none"}}, "tokens of a rationale"),
        ({"objective": {**KD, "weights": {"rationale": 0}}}, "rationale above 0"),
        ({"objective": {**KD, "beta": 1}}, "beta belong to kind: classifier"),
        ({"objective": {**KD, "soft_labels": "teacher"}}, "soft_labels belong to kind"),
    ],
)
def test_what_it_is_not_for(settings: dict[str, Any], message: str) -> None:
    settings_with_kd = {"student": "s", "version": 1, "model": "m", "objective": KD, **settings}
    with pytest.raises(ValueError, match=message):
        StudentConfig.model_validate(settings_with_kd)


def test_the_teacher_itself_is_not_needed() -> None:
    settings = {"student": "s", "version": 1, "model": "m", "objective": KD}
    assert not StudentConfig.model_validate(settings).objective.asks_teacher
