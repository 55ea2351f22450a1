"""Trained on one domain, asked on others."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raygen.dataset.storage import Folder
from streamtrain.analysis.assessment import is_default_evaluation
from streamtrain.analysis.compare import read_evaluated_runs
from streamtrain.analysis.matrix import make_matrix, read_domain
from streamtrain.cli.main import main
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.records import write_record
from streamtrain.heldout.prediction import Prediction
from streamtrain.heldout.questions import Question
from tests.support.dataset_records import block, committer
from tests.support.stored_plans import stored_plan

OPTIONS = {"farm": 2, "sea": 4, "sky": 2}


def make_run(
    folder: Path,
    data: str,
    right: Mapping[str, int],
    report: str | None = None,
    student: str = "student",
    plan: str | None = None,
) -> Path:
    """A finished run on a dataset that answered so many of ten questions of each set rightly."""
    (folder / "final").mkdir(parents=True)
    settings = {"student": student, "version": 1, "model": "m"}
    if report:
        settings["evaluate"] = {"report": report}
    (folder / "final" / "student.json").write_text(json.dumps(settings))
    (folder / "result.json").write_text(json.dumps({"data": data, "plan": plan}))
    for name, count in right.items():
        choices = ("a", "b", "c", "d")[: OPTIONS[name.split(".")[0]]]
        questions = [Question(f"{name} {n}", choices, 1) for n in range(10)]
        result = score_predictions(questions, [Prediction(int(n < count)) for n in range(10)])
        write_record(folder / "evaluations", name, questions, result)
    return folder


def matrix(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", "--matrix", *map(str, words)])


def test_rows_are_what_runs_are_trained_on_and_columns_what_they_are_evaluated_on(
    tmp_path: Path,
) -> None:
    farm = make_run(tmp_path / "a", "out/farm", {"farm": 9, "sea": 4, "sky": 6})
    sea = make_run(tmp_path / "b", "s3://out/waves", {"farm": 5, "sea": 8}, "data/sea.jsonl")
    done = matrix(farm, sea, "--format", "csv")
    assert done.exit_code == 0, done.output
    assert list(csv.reader(done.stdout.splitlines())) == [
        ["trained on", "farm", "sea", "sky", "out of domain, mean"],
        ["farm", "90.0% *", "40.0%", "60.0%", "50.0%"],
        ["waves", "50.0%", "80.0% *", "", "50.0%"],
        ["chance", "50.0%", "25.0%", "50.0%", ""],
    ]


def test_a_dataset_has_the_name_of_its_recipe_where_it_can_be_read(tmp_path: Path) -> None:
    folder = Folder.at(str(tmp_path / "data"))
    made = committer(folder)
    made.commit([block(folder, ["a"])])
    plan = {**stored_plan("plan-a"), "recipe": "farm"}
    folder.write_text("plan.json", json.dumps(plan))
    run = make_run(tmp_path / "a", str(tmp_path / "data"), {"farm": 1}, plan="plan-a")
    assert read_domain(run).name == "farm"


def test_seeds_of_a_student_are_one_row_and_other_students_another(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / f"s{n}", "farm", {"farm": n, "sea": n}) for n in (4, 6)]
    other = make_run(tmp_path / "o", "farm", {"farm": 3, "sea": 2}, student="other")
    rows = list(csv.reader(matrix(*runs, other, "--format", "csv").stdout.splitlines()))
    assert rows[1] == ["farm (student)", "50.0% ± 14.1% *", "50.0% ± 14.1%", "50.0%"]
    assert rows[2] == ["farm (other)", "30.0% *", "20.0%", "20.0%"]


def test_a_set_that_is_evaluated_in_another_way_is_no_domain_of_its_own(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "farm", {"farm": 9, "farm.written": 2, "sea": 4})
    assert matrix(run, "--format", "csv").stdout.splitlines()[0] == (
        'trained on,farm,sea,"out of domain, mean"'
    )
    assert [
        is_default_evaluation(name) for name in ("a", "a.b", "a.vote30", "a.negative.scored")
    ] == [
        True,
        True,
        False,
        False,
    ]


def test_a_run_whose_domain_is_unknown_is_refused(tmp_path: Path) -> None:
    done = matrix(make_run(tmp_path / "a", "out/hills", {"farm": 9, "sea": 4}))
    assert done.exit_code == 2
    assert "student is trained on hills" in done.stderr
    assert "none of farm, sea is named like it" in done.stderr


def test_the_picture_frames_the_training_domain_and_has_chance_below(tmp_path: Path) -> None:
    runs = [make_run(tmp_path / "a", "farm", {"farm": 9, "sea": 4})]
    heat = make_matrix(read_evaluated_runs(runs), [read_domain(run) for run in runs]).picture()
    assert heat.values == [[0.9, pytest.approx(0.4), pytest.approx(0.4)], [0.5, 0.25, None]]
    assert heat.marked == {(0, 0)}
    done = matrix(*runs, "--picture", tmp_path / "m.svg")
    assert done.exit_code == 0, done.output
    found = (tmp_path / "m.svg").read_text("utf-8")
    assert all(f"<!-- {word} -->" in found for word in ("90.0%", "chance", "trained on"))


def test_without_a_matrix_the_picture_has_a_dot_for_each_accuracy(tmp_path: Path) -> None:
    run = make_run(tmp_path / "a", "farm", {"farm": 9, "sea": 4})
    file = tmp_path / "dots.svg"
    done = CliRunner().invoke(main, ["compare", str(run), "--picture", str(file)])
    assert done.exit_code == 0, done.output
    found = file.read_text("utf-8")
    assert all(f"<!-- {word} -->" in found for word in ("farm", "sea", "student", "chance"))
