"""The student that a run leaves: whole whatever instant a kill hits, also where one was there."""

from __future__ import annotations

import json
import shutil
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from streamtrain.config.student import StudentConfig
from streamtrain.evaluation.records import EVALUATIONS, evaluations_folder
from streamtrain.models.student import Student
from streamtrain.run.spec import REPLACED, RunSpec, read_result
from streamtrain.training.durable import replaced
from streamtrain.training.outcome import find_student, holds_student, write_outcome
from streamtrain.training.progress import TrainProgress
from tests.local.streamtrain.training.test_checkpoint import killed_at

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Part:
    """A fake model or tokenizer, whose files hold the step at which they were saved."""

    name: str
    step: int

    def save_pretrained(self, folder: Path) -> None:
        """Write two files, one of them in a folder."""
        for path in (folder / f"{self.name}.json", folder / self.name / "more.json"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(str(self.step))


def finish(out: Path, step: int) -> Path:
    """Write the outcome of a run that ends at this step."""
    config = StudentConfig.model_validate({"student": "tiny", "version": 1, "model": "m"})
    student = Student(Part("model", step), Part("tokenizer", step), adapter=False, device=CPU)
    job = RunSpec(config, "m", "/data", out, report=None)
    return write_outcome(job, student, TrainProgress({}, step=step), None)


def step_of(out: Path) -> int:
    """The step of the student in a run's folder; all of its files are of the same one."""
    folder, config = find_student(out)
    assert config.student == "tiny"
    card = (folder / "README.md").read_text()
    steps = {
        int((folder / name).read_text())
        for name in ("model.json", "model/more.json", "tokenizer.json", "tokenizer/more.json")
    }
    (step,) = steps
    assert f"{step} steps over" in card
    return step


def test_a_student_that_is_set_aside_is_found_until_the_new_one_is_named(tmp_path: Path) -> None:
    """What a kill between the two renames leaves."""
    finish(tmp_path, 1)
    (tmp_path / "final").rename(tmp_path / REPLACED)
    assert holds_student(tmp_path)
    assert step_of(tmp_path) == step_of(tmp_path / "final") == 1
    assert evaluations_folder(find_student(tmp_path)[0]) == tmp_path / EVALUATIONS
    finish(tmp_path, 2)
    assert step_of(tmp_path) == 2
    assert {path.name for path in tmp_path.iterdir()} == {"final", "result.json"}


@pytest.mark.slow
def test_a_kill_at_any_instant_leaves_the_earlier_student_or_the_new_one(tmp_path: Path) -> None:
    template = tmp_path / "template"
    finish(template, 1)
    instant, reached = 0, set()
    while True:
        instant += 1
        out = tmp_path / str(instant)
        shutil.copytree(template, out)
        killed = killed_at(instant, lambda out=out: finish(out, 2))  # type: ignore[misc]
        assert holds_student(out)
        assert holds_student(out / "final"), "the folder that a user may name"
        reached.add(step_of(out))
        assert step_of(out) == step_of(out / "final")
        assert evaluations_folder(find_student(out)[0]) == out / EVALUATIONS
        assert finish(out, 3) == out / "final"
        assert step_of(out) == 3
        assert {path.name for path in out.iterdir()} == {"final", "result.json"}
        if not killed:
            break
    assert instant > 10
    assert reached == {1, 2}


def test_a_result_names_the_student_that_is_there(tmp_path: Path) -> None:
    finish(tmp_path, 1)
    folder = finish(tmp_path, 2)
    assert read_result(tmp_path)["steps"] == 2
    assert json.loads((folder / "student.json").read_text())["student"] == "tiny"


def test_the_name_of_a_student_that_is_replaced_is_known_to_those_who_read() -> None:
    assert replaced(Path("run") / "final").name == REPLACED


@pytest.mark.parametrize("name", ["final", "other"])
def test_a_folder_without_a_student_has_none(tmp_path: Path, name: str) -> None:
    assert not holds_student(tmp_path / name)
