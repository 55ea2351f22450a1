"""What students that learned one row write out whole, and where it is kept."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from streamtrain.cli.main import main
from streamtrain.config.student import StudentConfig
from streamtrain.config.target import MARKER
from streamtrain.data.tokenization import make_example_tokenizer
from streamtrain.evaluation.predictions import predict, prompt_format
from streamtrain.heldout.questions import Question
from streamtrain.models.student import load_student, model_source
from streamtrain.rationales.write import write_rationales
from streamtrain.run.spec import RunSpec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from streamtrain.training.step import TrainStep
from tests.local.streamtrain.analysis.test_compare import make_run
from tests.local.streamtrain.models.test_seq2seq import family

ROW = {
    "id": "1",
    "view": "positive",
    "question": "Where is milk cold?",
    "choices": ["oven", "fridge"],
    "answer": 1,
    "rationale": "It is cold in the fridge.",
}
QUESTION = Question(str(ROW["question"]), ("oven", "fridge"), 1)


pytestmark = pytest.mark.usefixtures("one_thread")


def taught(model: Path, steps: int = 40, **more: Any) -> TrainStep:
    """A student that learned the row by heart."""
    settings = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(model),
            "tune": {"method": "full"},
            "optim": {"lr": 3e-3, "clip": None},
            **more,
        }
    )
    torch.manual_seed(0)
    student = load_student(model_source(settings), settings.tune, torch.device("cpu"))
    made = TrainStep(
        student, make_example_tokenizer(settings, student.tokenizer), settings, SingleProcess()
    )
    for number in range(steps):
        made.step([ROW], number, 1.0)
    return made


@pytest.mark.parametrize(
    ("kind", "placement"),
    [
        ("causal", "before"),
        ("seq2seq", "after"),
        ("causal", "task"),
        pytest.param("causal", "after", marks=pytest.mark.slow),
        pytest.param("seq2seq", "before", marks=pytest.mark.slow),
        pytest.param("seq2seq", "task", marks=pytest.mark.slow),
    ],
)
def test_a_student_writes_to_its_own_end(
    tiny_model: Path, tmp_path: Path, kind: str, placement: str
) -> None:
    model = family("t5", tmp_path, tiny_model) if kind == "seq2seq" else tiny_model
    data = {"rationale": placement, "max_target": 64}
    made = taught(model, kind=kind, data=data, steps=70 if kind == "seq2seq" else 40)
    how = prompt_format(StudentConfig.model_validate({**_minimal(), "data": data}).data)
    answers = predict(made.student, made.tokenizer, [QUESTION], how)
    (found,) = write_rationales(made.student, made.tokenizer, [QUESTION], how, answers)
    assert found.rationale == ROW["rationale"]
    assert found.choice == 1
    assert found.text.count(MARKER) == (0 if placement == "task" else 2)


def _minimal() -> dict[str, Any]:
    return {"student": "t", "version": 1, "model": "m"}


def test_rationales_are_kept_with_the_evaluation(tiny_model: Path, tmp_path: Path) -> None:
    made = taught(tiny_model, data={"max_target": 64})
    out = tmp_path / "run"
    out.mkdir()
    settings = StudentConfig.model_validate(
        {**_minimal(), "tune": {"method": "full"}, "data": {"max_target": 64}}
    )
    write_outcome(
        RunSpec(settings, str(tiny_model), "d", out, None), made.student, TrainProgress({}), None
    )
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps(ROW) + "\n")
    done = CliRunner().invoke(main, ["eval", str(out), "--data", str(held), "--rationales"])
    assert done.exit_code == 0, done.output
    path = out / "evaluations" / "held" / "rationales.jsonl"
    assert json.loads(path.read_text()) == {
        "key": QUESTION.key,
        "question": ROW["question"],
        "choices": ROW["choices"],
        "answer": 1,
        "text": f" {MARKER} B {MARKER} {ROW['rationale']}",
        "rationale": ROW["rationale"],
        "choice": 1,
    }
    # Another evaluation may be of another state of the student.
    CliRunner().invoke(main, ["eval", str(out), "--data", str(held)])
    assert not path.exists()


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"data": {"rationale": "none"}}, "trained on labels alone"),
        (
            {"kind": "classifier", "data": {"labels": ["a", "b"]}, "objective": {"loss": "ce"}},
            "a classifier writes nothing",
        ),
    ],
)
def test_a_student_without_rationales_says_so(
    tmp_path: Path, settings: dict[str, Any], message: str
) -> None:
    run = make_run(tmp_path, "one", "a", [True])
    (run / "final" / "student.json").write_text(json.dumps({**_minimal(), **settings}))
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps(ROW) + "\n")
    done = CliRunner().invoke(main, ["eval", str(run), "--data", str(held), "--rationales"])
    assert done.exit_code == 2
    assert message in done.stderr
