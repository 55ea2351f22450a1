"""The student that a recipe asks for: where it lies, whether it goes on, what is wrong with it."""

from pathlib import Path
from typing import cast

import pytest

from raygen.dataset.storage import Folder
from raygen.recipe.load import load_recipe
from raygen.recipe.recipe import Recipe
from raygen.recipe.remote import Fetched, Permissions
from raygen.trainer.process import TrainJob, can_resume
from raygen.trainer.student import discard_students, training_of, training_problems

RECIPE = """
recipe: r
version: 1
source: {path: x.jsonl}
task: free_text
graph:
  keep: {op: filter, from: source, where: "true"}
output: {from: keep, path: out}
"""
STUDENT = "{student: s, version: 1, model: m%s}"


def recipe(folder: Path, train: str = "") -> Recipe:
    path = folder / "recipe.yaml"
    path.write_text(RECIPE + (f"train: {train}\n" if train else ""))
    return load_recipe(path)


def test_a_recipe_without_train_trains_nothing(tmp_path: Path) -> None:
    of = recipe(tmp_path)
    assert training_of(of, None, Folder.at(tmp_path / "out"), moved=False) is None
    assert training_problems(of) == []


def test_the_student_lies_with_the_tables_or_where_its_file_puts_it(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / "out")
    plain = training_of(recipe(tmp_path, STUDENT % ""), None, folder, moved=False)
    assert plain is not None
    assert plain.out == tmp_path / "out" / "student"
    named = recipe(tmp_path, STUDENT % ", output: runs/s")
    here = training_of(named, None, folder, moved=False)
    moved = training_of(named, None, folder, moved=True)
    assert here is not None
    assert moved is not None
    assert here.out == tmp_path / "runs" / "s"
    assert moved.out == tmp_path / "out" / "student"


@pytest.mark.parametrize(("as_me", "own"), [((), False), (("hf://org/small",), True)])
def test_a_strangers_student_asks_the_hub_without_the_token(
    tmp_path: Path, as_me: tuple[str, ...], own: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygen.trainer.student.Trainer", lambda job: job)
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE + "train: {student: s, version: 1, model: org/small}\n")
    fetched = Fetched("git+https://h/r", "git+https://h/r@c#recipe.yaml", "c", tmp_path, path)
    of = load_recipe(path, fetched=fetched, allowed=Permissions(as_me=as_me))
    training = training_of(of, None, Folder.at(tmp_path / "out"), moved=False)
    assert training is not None
    job = cast("TrainJob", training.start("data", tmp_path, None))
    assert ("HF_HUB_DISABLE_IMPLICIT_TOKEN" not in job.env) == own


def test_a_run_goes_on_from_what_it_left(tmp_path: Path) -> None:
    training = training_of(
        recipe(tmp_path, STUDENT % ", workers: 3"), None, Folder.at(tmp_path / "out"), moved=False
    )
    assert training is not None
    assert training.workers() == 3
    assert not can_resume(training.out)
    (training.out / "checkpoints").mkdir(parents=True)
    assert can_resume(training.out)
    assert not training.finished
    (training.out / "result.json").write_text("{}")
    assert training.finished


def test_students_of_variants_lie_apart_and_go_with_their_dataset(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / "out")
    path = tmp_path / "recipe.yaml"
    path.write_text(
        RECIPE + "train: {student: s, version: 1, model: m}\nvariants: {before: {}, after: {}}\n"
    )
    outs = []
    for name in ("before", "after"):
        training = training_of(load_recipe(path, variant=name), None, folder, moved=False)
        assert training is not None
        (training.out / "checkpoints").mkdir(parents=True)
        (training.out / "owner").write_text("0123456789ab")
        outs.append(training.out)
    assert [out.name for out in outs] == ["student-before", "student-after"]
    mine = tmp_path / "out" / "students.txt"
    mine.write_text("no student of raygen's")
    other = tmp_path / "out" / "student-photos"
    (other / "checkpoints").mkdir(parents=True)
    (tmp_path / "out" / "student-link").symlink_to(outs[0])
    discard_students(folder, None)
    assert not any(out.exists() for out in outs)
    assert mine.exists()
    assert other.exists(), "a name alone is no mark of a run"


def test_problems_stand_where_the_recipe_has_them(tmp_path: Path) -> None:
    (problem,) = training_problems(recipe(tmp_path, STUDENT % ", tuen: {}"))
    assert "unknown key 'tuen'" in str(problem)
    assert problem.line == RECIPE.count("\n") + 1


@pytest.mark.parametrize("from_recipe", [True, False])
def test_problems_of_a_file_name_the_file(tmp_path: Path, from_recipe: bool) -> None:
    (tmp_path / "student.yaml").write_text("student: s\nversion: 1\nmodel: m\ntuen: {}\n")
    of = recipe(tmp_path, "student.yaml" if from_recipe else "")
    (problem,) = training_problems(of, None if from_recipe else tmp_path / "student.yaml")
    assert problem.file.endswith("student.yaml")
    assert problem.line == 4


def test_a_schedule_that_needs_a_known_length_is_refused_before_the_run(tmp_path: Path) -> None:
    file = tmp_path / "student.yaml"
    text = (
        "student: s\nversion: 1\nmodel: bundled:smollm2-135m-instruct\noptim: {schedule: linear}\n"
    )
    file.write_text(text)
    (problem,) = training_problems(recipe(tmp_path), file)
    assert "needs a known length" in problem.message
    assert problem.line == 4
