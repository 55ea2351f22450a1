"""Losses of several parts: distilling step-by-step and SCOTT, against plain references."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.data import DataConfig
from streamtrain.config.student import StudentConfig
from streamtrain.data.examples import make_tasks
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.evaluation.predictions import prompt_format
from streamtrain.heldout.questions import Question
from streamtrain.models.student import Student, load_student, model_source
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.step import TrainStep

CPU = torch.device("cpu")


pytestmark = pytest.mark.usefixtures("one_thread")


def train_step(model: Path, **more: Any) -> TrainStep:
    settings = StudentConfig.model_validate(
        {"student": "t", "version": 1, "model": str(model), "tune": {"method": "full"}, **more}
    )
    torch.manual_seed(0)
    student = load_student(model_source(settings), settings.tune, CPU)
    return TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )


def rows(count: int) -> list[dict[str, Any]]:
    return [
        {
            "id": str(number),
            "question": f"Which is {number}?",
            "choices": ["none", str(number)],
            "answer": number % 2,
            "view": ("positive", "counterfactual_positive")[number % 3 == 0],
            "rationale": f"It says {number} " * (1 + number),
        }
        for number in range(count)
    ]


def nll(student: Student, prompt: str, spans: list[tuple[str, bool]]) -> list[torch.Tensor]:
    """The loss of every token of the spans that are learned, the end of sequence in the last."""
    tokenizer = student.tokenizer
    ids = list(tokenizer(prompt)["input_ids"])
    learned = [False] * len(ids)
    for at, (text, counts) in enumerate(spans):
        more = list(tokenizer(text, add_special_tokens=False)["input_ids"])
        more += [tokenizer.eos_token_id] if at == len(spans) - 1 else []
        ids += more
        learned += [counts] * len(more)
    logs = torch.log_softmax(student.model(torch.tensor([ids])).logits[0], dim=-1)
    return [
        -logs[position - 1, ids[position]] for position in range(1, len(ids)) if learned[position]
    ]


def prompt_of(row: dict[str, Any], prefix: str) -> str:
    options = f"Options:\n(A) {row['choices'][0]}\n(B) {row['choices'][1]}\nAnswer:"
    return f"{prefix} Question: {row['question']}\n{options}"


def label_of(row: dict[str, Any]) -> str:
    return f" [FIN_LABEL] {'AB'[row['answer']]} [FIN_LABEL]"


def why_of(row: dict[str, Any]) -> str:
    return f" {row['rationale'].strip()}"


def test_label_and_rationale_as_two_tasks(tiny_model: Path) -> None:
    """share x mean over the labels' tokens + (1 - share) x mean over the rationales' tokens."""
    made = train_step(tiny_model, data={"rationale": "task"}, objective={"label_share": 0.3})
    labels: list[torch.Tensor] = []
    whys: list[torch.Tensor] = []
    with torch.no_grad():
        for row in rows(4):
            labels += nll(made.student, prompt_of(row, "[label]"), [(label_of(row), True)])
            whys += nll(made.student, prompt_of(row, "[rationale]"), [(why_of(row), True)])
    expected = 0.3 * torch.stack(labels).mean() + 0.7 * torch.stack(whys).mean()
    assert made.step(rows(4), 0, 1.0).loss == pytest.approx(expected.item(), rel=1e-4)


def test_a_counterfactual_row_teaches_its_label_alone(tiny_model: Path) -> None:
    control = {"positive": "[factual]", "counterfactual_positive": "[counterfactual]"}
    made = train_step(
        tiny_model,
        data={"rationale": "before", "control": control},
        objective={"counterfactual_share": 0.2},
    )
    parts: dict[str, list[torch.Tensor]] = {"[factual]": [], "[counterfactual]": []}
    with torch.no_grad():
        for row in rows(5):
            prefix = control[row["view"]]
            spans = [(why_of(row), prefix == "[factual]"), (label_of(row), True)]
            parts[prefix] += nll(made.student, prompt_of(row, prefix), spans)
    means = {prefix: torch.stack(losses).mean() for prefix, losses in parts.items()}
    expected = 0.8 * means["[factual]"] + 0.2 * means["[counterfactual]"]
    assert made.step(rows(5), 0, 1.0).loss == pytest.approx(expected.item(), rel=1e-4)


def test_a_refuting_row_has_the_rationales_task_alone() -> None:
    row = {**rows(1)[0], "refuted": "none", "answer": 1}
    (only,) = make_tasks(row, DataConfig(rationale="task"))
    assert only.part == "rationale"
    assert only.prompt.startswith("[rationale] Question:")
    assert "Refute: none" in only.prompt


def test_an_evaluation_asks_for_the_label(tiny_model: Path) -> None:
    data = DataConfig(rationale="task")
    how = prompt_format(data)
    assert how.how == "scored"
    assert how.prompt(Question("Why?", ("a", "b"), 0)).startswith("[label] Question: Why?")


def test_gradients_are_the_same_where_activations_are_computed_again(tiny_model: Path) -> None:
    losses = []
    for checkpointing in (False, True):
        made = train_step(tiny_model, optim={"lr": 1e-2, "gradient_checkpointing": checkpointing})
        assert made.student.model.is_gradient_checkpointing is checkpointing
        losses.append([made.step(rows(4), number, 1.0).loss for number in range(3)])
    assert losses[0] == pytest.approx(losses[1], rel=1e-4)
