"""Classifiers: every family learns, saves and loads; each loss against a plain reference."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.errors import InputError
from streamtrain.evaluation.predictions import evaluate_student
from streamtrain.heldout.questions import Question
from streamtrain.losses.classification import ClassificationObjective
from streamtrain.losses.functional import kl_divergences, layer_distances, paired_losses
from streamtrain.models.classifier import classify, pad_texts, predict_classes
from streamtrain.models.student import ModelSource, Student, load_student, model_source
from streamtrain.models.teacher import (
    TeacherClassifier,
    layer_pairs,
    load_teacher,
    recorded_log_probabilities,
)
from streamtrain.run.spec import RunSpec
from streamtrain.training import checkpoint
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from streamtrain.training.outcome import read_outcome, write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep
from tests.unit.streamtrain.data.test_stream import paired_feed

CPU = torch.device("cpu")
LABELS = ("negative", "neutral", "positive")
FAMILIES: dict[str, dict[str, Any]] = {
    "deberta-v2": {
        "relative_attention": True,
        "pos_att_type": ["p2c", "c2p"],
        "position_buckets": 8,
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "type_vocab_size": 0,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    "bert": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "roberta": {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0},
    "qwen2": {"num_key_value_heads": 1},
}


pytestmark = pytest.mark.usefixtures("one_thread")


def family(kind: str, folder: Path, tiny_model: Path, layers: int = 2, width: int = 32) -> Path:
    """A folder with a random model without a head, and the tiny tokenizer."""
    from transformers import AutoConfig, AutoModel, AutoTokenizer

    sizes = {
        "vocab_size": 400,
        "hidden_size": width,
        "intermediate_size": 2 * width,
        "num_hidden_layers": layers,
        "num_attention_heads": 2,
        "max_position_embeddings": 514,
        "initializer_range": 0.2,
    }
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    torch.manual_seed(0)
    settings = AutoConfig.for_model(kind, **sizes, **ids, **FAMILIES[kind])
    path = folder / f"{kind}-{layers}"
    AutoModel.from_config(settings).save_pretrained(path)
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(path)
    return path


def config(model: Path, **more: Any) -> StudentConfig:
    settings: dict[str, Any] = {
        "student": "tiny",
        "version": 1,
        "model": str(model),
        "kind": "classifier",
        "tune": {"method": "full"},
        "optim": {"lr": 1e-2, "clip": None},
        **more,
    }
    settings["data"] = {"labels": LABELS, **more.get("data", {})}
    return StudentConfig.model_validate(settings)


def start(settings: StudentConfig) -> Student:
    torch.manual_seed(0)
    return load_student(model_source(settings), settings.tune, CPU)


def train_step(settings: StudentConfig, teacher: TeacherClassifier | None = None) -> TrainStep:
    student = start(settings)
    tokenizer = make_example_tokenizer(settings, student.tokenizer)
    return TrainStep(student, tokenizer, settings, SingleProcess(), teacher)


def rows(pairs: int) -> list[dict[str, Any]]:
    """Pairs of an original and its counterfactual, of different lengths, with soft labels."""
    made: list[dict[str, Any]] = []
    for number in range(2 * pairs):
        chances = [0.1 + 0.1 * (number % 3), 0.2, 0.7 - 0.1 * (number % 3)]
        soft = dict(zip(LABELS, map(math.log, chances), strict=True))
        made.append(
            {
                "id": str(number),
                "group": str(number // 2),
                "variant": ("original", "counterfactual")[number % 2],
                "text": f"The film was {number} " * (1 + number % 4),
                "label": LABELS[(number * 2) % 3],
                "soft_labels": json.dumps(soft),
                "soft_labels_teacher": "judge@main",
            }
        )
    return made


class FakeOptimizer(torch.optim.SGD):
    """A fake optimizer that keeps the gradients for the test to look at."""

    gradient: torch.Tensor

    def step(self, closure: Any = None) -> None:
        self.gradient = gradients(self.param_groups[0]["params"])


def gradients(parameters: list[torch.nn.Parameter]) -> torch.Tensor:
    return torch.cat([p.grad.flatten() for p in parameters if p.grad is not None])


def one_text(student: Student, text: str) -> tuple[torch.Tensor, tuple[torch.Tensor, ...]]:
    """The log-probabilities and hidden states of one text, without any padding."""
    ids = torch.tensor([student.tokenizer(text)["input_ids"]])
    output = student.model(input_ids=ids, output_hidden_states=True)
    return torch.log_softmax(output.logits[0], dim=-1), output.hidden_states


def check_step(made: TrainStep, batch: list[dict[str, Any]], expected: torch.Tensor) -> None:
    """A step has the loss and the gradients of the plain reference, in any micro-batches."""
    parameters = [p for _, p in made.student.trainable()]
    expected.backward()
    reference = gradients(parameters)
    for parameter in parameters:
        parameter.grad = None
    made.optimizer = optimizer = FakeOptimizer(parameters)
    done = made.step(batch, 0, 1.0)
    assert done.loss == pytest.approx(expected.item(), rel=1e-4)
    torch.testing.assert_close(optimizer.gradient, reference, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("method", "kind"),
    [
        ("full", "deberta-v2"),
        ("full", "bert"),
        ("lora", "roberta"),
        ("lora", "qwen2"),
        pytest.param("full", "roberta", marks=pytest.mark.slow),
        pytest.param("full", "qwen2", marks=pytest.mark.slow),
        pytest.param("lora", "deberta-v2", marks=pytest.mark.slow),
        pytest.param("lora", "bert", marks=pytest.mark.slow),
    ],
)
def test_every_family_learns_and_is_the_same_after_saving(
    tiny_model: Path, tmp_path: Path, kind: str, method: str
) -> None:
    model = family(kind, tmp_path, tiny_model)
    settings = config(model, tune={"method": method}, optim={"lr": 3e-3})
    made = train_step(settings)
    batch = [{**row, "text": f"{row['label']} {row['id']}"} for row in rows(3)]
    losses = [made.step(batch, number, 1.0).loss for number in range(25)]
    assert losses[-1] < losses[0] / 2
    questions = [Question(row["text"], LABELS, LABELS.index(row["label"]), classes=True)
                 for row in batch]  # fmt: skip
    before = evaluate_student(made.student, made.tokenizer, questions, settings.data)
    assert before.correct == len(batch)

    job = RunSpec(settings, str(model), "data", tmp_path / "out", None)
    folder = write_outcome(job, made.student, TrainProgress({}), None)
    loaded, loaded_config = read_outcome(folder, CPU)
    assert loaded.model.config.id2label == dict(enumerate(LABELS))
    texts = [question.question for question in questions]
    was = predict_classes(made.student, made.tokenizer, texts)
    now = predict_classes(loaded, make_example_tokenizer(loaded_config, loaded.tokenizer), texts)
    for one, other in zip(was, now, strict=True):
        assert one.probabilities == pytest.approx(other.probabilities, abs=1e-5)


def test_a_text_is_read_in_the_files_own_form(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = config(family("bert", tmp_path, tiny_model), data={"input": "Judge: {{ text }}"})
    made = train_step(settings)
    (row, *_) = rows(1)
    (learned,) = ClassificationObjective(made.student, made.tokenizer, settings, None).samples(
        row, 1.0
    )
    assert list(learned.ids) == made.tokenizer.text(f"Judge: {row['text'].strip()}")[0]
    texts: list[str] = []
    real = made.tokenizer.text
    monkeypatch.setattr(made.tokenizer, "text", lambda text: texts.append(text) or real(text))
    evaluate_student(made.student, made.tokenizer, [Question("It was.", LABELS, 0, classes=True)],
             settings.data)  # fmt: skip
    assert texts == ["Judge: It was."]


def test_the_loss_is_the_mean_cross_entropy_of_the_batch(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 100})
    made = train_step(config(family("bert", tmp_path, tiny_model)))
    batch = rows(4)
    expected = torch.stack(
        [-one_text(made.student, r["text"])[0][LABELS.index(r["label"])] for r in batch]
    ).mean()
    check_step(made, batch, expected)


def test_the_paired_variant(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The mean over pairs, also where a pair alone is more than a micro-batch should hold."""
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 10})
    settings = config(
        family("bert", tmp_path, tiny_model), data={"pairs": True}, objective={"paired": 0.5}
    )
    made = train_step(settings)
    batch = rows(3)
    losses = [-one_text(made.student, r["text"])[0][LABELS.index(r["label"])] for r in batch]
    expected = torch.stack(
        [b + 0.5 * abs(a - b) for a, b in zip(losses[::2], losses[1::2], strict=True)]
    ).mean()
    check_step(made, batch, expected)


def test_imitating_recorded_labels(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 100})
    kd = {"loss": "kd", "alpha": 20, "teacher": {"model": "judge", "revision": "main"}}
    made = train_step(config(family("bert", tmp_path, tiny_model), objective=kd))
    batch, total = rows(3), torch.zeros(())
    for row in batch:
        logits = one_text(made.student, row["text"])[0]
        soft = json.loads(row["soft_labels"])
        warm = [math.exp(soft[label] / 2) for label in LABELS]
        student = torch.softmax(logits / 2, dim=-1)
        kl = torch.zeros(())
        for position, value in enumerate(warm):
            chance = value / sum(warm)
            kl = kl + chance * (math.log(chance) - student[position].log())
        total = total - logits[LABELS.index(row["label"])] + 20 * 4 * kl
    check_step(made, batch, total / len(batch))


def teacher_of(
    tiny_model: Path, folder: Path, order: tuple[str, ...], student: Student
) -> TeacherClassifier:
    """A random teacher of four wider layers, whose classes come in another order."""
    model = family("bert", folder, tiny_model, layers=4, width=48)
    source = ModelSource(str(model), kind="classifier", labels=order)
    torch.manual_seed(5)
    made = load_student(source, None, CPU)
    made.model.save_pretrained(model)
    return load_teacher(ModelSource(str(model), kind="classifier"), LABELS, student.tokenizer, CPU)


def test_imitating_a_teacher_and_its_layers(
    tiny_model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its classes are matched by name; every second of its layers is compared, projected."""
    monkeypatch.setattr("streamtrain.training.step._POSITIONS", {"cpu": 100})
    kd = {"loss": "kd", "alpha": 2, "beta": 3, "soft_labels": "teacher", "teacher": {"model": "t"}}
    settings = config(family("bert", tmp_path, tiny_model), objective=kd)
    order = ("Positive", "Negative", "Neutral")
    teacher = teacher_of(tiny_model, tmp_path, order, start(settings))
    made = train_step(settings, teacher)
    projections = made.student.projections
    assert projections is not None
    batch, total = rows(3), torch.zeros(())
    for row in batch:
        logits, mine = one_text(made.student, row["text"])
        with torch.no_grad():
            teacher_logits, theirs = one_text(teacher.model, row["text"])
        ordered = teacher_logits[[order.index(label.capitalize()) for label in LABELS]]
        teaching, learning = torch.softmax(ordered / 2, -1), torch.softmax(logits / 2, -1)
        kl = (teaching * (teaching.log() - learning.log())).sum()
        apart = [
            ((projections[0](mine[1]) - theirs[2]) ** 2).mean(),
            ((projections[1](mine[2]) - theirs[4]) ** 2).mean(),
        ]
        total = total - logits[LABELS.index(row["label"])] + 2 * 4 * kl + 3 * sum(apart) / 2
    before = [p.detach().clone() for p in projections.parameters()]
    check_step(made, batch, total / len(batch))

    made = train_step(settings, teacher)
    assert made.student.projections is not None
    made.step(batch, 0, 1.0)
    after = list(made.student.projections.parameters())
    assert all(not torch.equal(a, b) for a, b in zip(before, after, strict=True))
    path = checkpoint.save(tmp_path / "c", made.student, made.optimizer, TrainProgress({}, step=1))
    other = train_step(settings, teacher)
    checkpoint.load_weights(path, other.student, other.optimizer)
    assert made.step(batch, 1, 1.0).loss == other.step(batch, 1, 1.0).loss


def test_a_whole_run_with_pairs_and_a_teacher(tiny_model: Path, tmp_path: Path) -> None:
    """Stopped after a step and resumed, it ends with the weights of an undisturbed run."""
    kd = {"loss": "kd", "alpha": 2, "beta": 1, "soft_labels": "teacher", "teacher": {"model": "t"}}
    settings = config(
        family("bert", tmp_path, tiny_model),
        data={"pairs": True},
        objective=kd,
        optim={"lr": 1e-3, "batch": 4, "epochs": 2},
        checkpoint_s=0,
    )
    teacher = teacher_of(tiny_model, tmp_path, LABELS, start(settings))
    held = tmp_path / "held.jsonl"
    held.write_text('{"text": "Never seen", "label": "neutral"}\n')

    def run(out: str, stops: list[bool], resume: bool = False) -> str:
        job = RunSpec(settings, settings.model, "data", tmp_path / out, held, resume=resume)
        job = replace(job, teacher=teacher.model.model.name_or_path)
        feed = paired_feed(rows(3))
        return train(job, SingleProcess(), lambda: feed, lambda: bool(stops and stops.pop(0)), CPU)

    assert run("whole", []) == "end"
    assert run("cut", [False, True]) == "stopped"
    assert run("cut", [], resume=True) == "end"
    complete, cut = (read_outcome(tmp_path / name, CPU)[0].trainable() for name in ("whole", "cut"))
    for (name, one), (_, other) in zip(complete, cut, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-6, msg=name)
    result = json.loads((tmp_path / "whole" / "result.json").read_text())
    assert (result["steps"], result["rows"], result["after"]["total"]) == (3, 12, 1)


def test_a_teacher_must_know_the_labels_and_read_the_same_tokens(
    tiny_model: Path, tmp_path: Path
) -> None:
    student = start(config(family("bert", tmp_path, tiny_model)))
    with pytest.raises(InputError, match=r"good, bad, neutral; expected those of data\.labels"):
        teacher_of(tiny_model, tmp_path, ("good", "bad", "neutral"), student)
    student.tokenizer.add_tokens(["[NEW]"])
    with pytest.raises(InputError, match="another tokenizer"):
        teacher_of(tiny_model, tmp_path, LABELS, student)


def test_every_second_layer_of_the_teacher() -> None:
    assert layer_pairs(6, 12) == [(1, 2), (2, 4), (3, 6), (4, 8), (5, 10), (6, 12)]
    assert layer_pairs(2, 6) == [(1, 2), (1, 4), (2, 6)]


def test_a_layer_that_is_not_there_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    kd = {"loss": "kd", "beta": 1, "layers": [[3, 2]], "teacher": {"model": "t"}}
    settings = config(family("bert", tmp_path, tiny_model), objective=kd)
    teacher = teacher_of(tiny_model, tmp_path, LABELS, start(settings))
    with pytest.raises(InputError, match=r"found \[3, 2\]; the student has 2 layers"):
        train_step(settings, teacher)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"soft_labels": None}, "has no soft_labels"),
        (
            {"soft_labels_teacher": "judge"},
            "those of 'judge'; objective.teacher names 'judge@main'",
        ),
        ({"soft_labels": '{"positive": 0}'}, "expected a log-probability for each"),
        ({"soft_labels": dict.fromkeys(LABELS, -math.inf)}, "expected finite"),
    ],
)
def test_soft_labels_that_are_not_the_teachers_are_refused(
    change: dict[str, Any], message: str
) -> None:
    assert recorded_log_probabilities(rows(1)[0], LABELS, "judge@main")[1] == pytest.approx(
        math.log(0.2)
    )
    with pytest.raises(InputError, match=message):
        recorded_log_probabilities({**rows(1)[0], **change}, LABELS, "judge@main")


@pytest.mark.parametrize(
    ("change", "message"),
    [({"label": "good"}, "label is 'good'; expected one of"), ({"text": " "}, "expected a text")],
)
def test_a_row_that_is_no_labelled_text_is_refused(
    tiny_model: Path, tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    made = train_step(config(family("bert", tmp_path, tiny_model)))
    with pytest.raises(InputError, match=message):
        made.step([{**rows(1)[0], **change}], 0, 1.0)


def test_a_classifier_gets_no_questions_with_options(tiny_model: Path, tmp_path: Path) -> None:
    made = train_step(config(family("bert", tmp_path, tiny_model)))
    with pytest.raises(InputError, match="needs rows with text and label"):
        evaluate_student(
            made.student,
            made.tokenizer,
            [Question("Why?", ("a", "b"), 0)],
            DataConfig(labels=LABELS),
        )


def test_padding_changes_nothing(tiny_model: Path, tmp_path: Path) -> None:
    """A head on a causal model reads the last token, wherever the padding is."""
    for kind in FAMILIES:
        student = start(config(family(kind, tmp_path, tiny_model)))
        student.model.eval()
        texts = [[5, 6, 7], [8, 9, 10, 11, 12, 13]]
        with torch.no_grad():
            together = classify(student, pad_texts(texts, student.pad, CPU)).logits
            alone = [classify(student, pad_texts([t], student.pad, CPU)).logits[0] for t in texts]
        torch.testing.assert_close(together, torch.stack(alone), rtol=1e-4, atol=1e-5)


def test_a_long_text_loses_its_end_and_is_counted(tiny_model: Path, tmp_path: Path) -> None:
    made = train_step(config(family("bert", tmp_path, tiny_model), data={"max_input": 8}))
    assert made.step([{**row, "text": "word " * 20} for row in rows(1)], 0, 1.0).cut == 2
    assert made.tokenizer.text("It was") == (made.student.tokenizer("It was")["input_ids"], False)


def test_divergence_is_zero_only_for_the_same_prediction() -> None:
    torch.manual_seed(0)
    logits = torch.randn(3, 4)
    same = torch.log_softmax(logits, dim=-1)
    torch.testing.assert_close(kl_divergences(logits, same, 2.0), torch.zeros(3), atol=1e-6, rtol=0)
    assert kl_divergences(logits, same.flip(-1), 2.0).min() > 0.01


def test_layers_are_compared_where_a_token_is() -> None:
    one, other = torch.ones(1, 3, 2), torch.zeros(1, 3, 2)
    other[0, 2] = 100.0
    mask = torch.tensor([[1, 1, 0]])
    assert layer_distances([one, 3 * one], [other, other], mask).tolist() == [(1 + 9) / 2]


def test_pairs_are_pulled_together() -> None:
    a, b = torch.tensor([1.0, 2.0]), torch.tensor([3.0, 0.5])
    assert paired_losses(a, b, 0.5).tolist() == [3.0 + 1.0, 0.5 + 0.75]
