"""Runs side by side, from kept evaluations alone."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from pathlib import Path

from click.testing import CliRunner, Result

from streamtrain.cli.main import main
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.records import write_record
from streamtrain.heldout.prediction import Prediction
from streamtrain.heldout.questions import Question


def make_run(
    folder: Path, name: str, student: str, right: Sequence[bool], words: str = "Q"
) -> Path:
    """A finished run that answered the set `held`, these questions of it rightly."""
    (folder / name / "final").mkdir(parents=True)
    settings = {"student": student, "version": 1, "model": "m"}
    (folder / name / "final" / "student.json").write_text(json.dumps(settings))
    (folder / name / "result.json").write_text("{}")
    questions = [Question(f"{words} {n}", ("a", "b"), 1) for n in range(len(right))]
    result = score_predictions(questions, [Prediction(int(hit)) for hit in right])
    write_record(folder / name / "evaluations", "held", questions, result)
    return folder / name


def compare(*words: str | Path) -> Result:
    return CliRunner().invoke(main, ["compare", *map(str, words)])


def test_two_runs_are_compared_question_by_question(tmp_path: Path) -> None:
    before = make_run(tmp_path, "one", "before", [True] * 2 + [False] * 8)
    after = make_run(tmp_path, "two", "after", [True] * 8 + [False] * 2)
    done = compare(before, after)
    assert done.exit_code == 0, done.output
    table, tests = done.stdout.split("\n\n")
    assert [line.split()[:2] for line in table.splitlines()[2:]] == [
        ["before", "20.0%"],
        ["after", "80.0%"],
        ["chance", "50.0%"],
    ]
    # Six questions only the second got right: 2 * (1/2) ** 6.
    cells = tests.splitlines()[2].split()
    assert cells[:4] == ["held", "before", "after", "-60.0%"]
    assert cells[-3:] == ["0.0312", "0", "6"]


def test_runs_of_several_seeds_have_a_mean_and_a_deviation(tmp_path: Path) -> None:
    runs = [
        make_run(tmp_path, f"seed{n}", "after", [True] * n + [False] * (10 - n)) for n in (4, 6)
    ]
    rows = list(csv.reader(compare(*runs, "--format", "csv").stdout.splitlines()))
    assert rows[0] == ["student", "held"]
    assert rows[1][0] == f"after ({runs[0]})"
    assert rows[3] == ["after, mean of 2", "50.0% ± 14.1%"]


def test_a_contrast_set_has_a_column_of_whole_pairs(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", "a", [True])
    questions = [
        Question(f"{n} {variant}", ("a", "b"), 1, str(n), variant)
        for n in range(2)
        for variant in ("original", "counterfactual")
    ]
    result = score_predictions(questions, [Prediction(choice) for choice in (1, 1, 1, 0)])
    write_record(run / "evaluations", "pairs", questions, result)
    head, row, chance = csv.reader(compare(run, "--format", "csv").stdout.splitlines())
    assert head == ["student", "held", "pairs", "pairs, both right"]
    assert (row[2].split()[0], row[3].split()[0]) == ("75.0%", "50.0%")
    assert chance == ["chance", "50.0%", "50.0%", ""]


def test_a_table_for_a_paper(tmp_path: Path) -> None:
    text = compare(make_run(tmp_path, "one", "a_b", [True] * 4), "--format", "latex").stdout
    assert r"a\_b & 100.0\%" in text
    assert text.count(r"\\") == 3


def test_different_questions_under_one_name_are_refused(tmp_path: Path) -> None:
    one = make_run(tmp_path, "one", "a", [True])
    other = make_run(tmp_path, "two", "b", [True], words="R")
    done = compare(one, other)
    assert done.exit_code == 2
    assert "different questions under the name 'held'" in done.stderr


def test_a_run_without_evaluations_says_what_to_do(tmp_path: Path) -> None:
    run = make_run(tmp_path, "one", "a", [True])
    for file in (run / "evaluations" / "held").iterdir():
        file.unlink()
    done = compare(run)
    assert done.exit_code == 2
    assert "streamtrain eval" in done.stderr
