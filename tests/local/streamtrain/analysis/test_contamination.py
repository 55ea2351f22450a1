"""A finished student is not judged by what it is trained on, nor by what chose its step."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from streamtrain.cli.main import main
from tests.local.streamtrain.lens.test_logit_lens import make_dataset, make_run, rows, write

pytestmark = pytest.mark.usefixtures("one_thread")


def ask(run: Path, *files: Path) -> Result:
    words = [word for file in files for word in ("--data", str(file))]
    return CliRunner().invoke(main, ["eval", str(run), *words])


def choose_by(run: Path, file: Path) -> None:
    result = json.loads((run / "result.json").read_text())
    result["selected"] = {"step": 1, "accuracy": 1.0, "set": str(file)}
    (run / "result.json").write_text(json.dumps(result))


def test_questions_of_the_dataset_are_refused(tiny_model: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", rows(6))
    run = make_run(tiny_model, tmp_path / "run", str(data))
    held = write(tmp_path / "held.jsonl", rows(2, begin=6))
    one = {**rows(1)[0], "question": "which,  0, 0?", "choices": ["y", "x"], "answer": 1}
    leak = write(tmp_path / "leak.jsonl", [*rows(2, begin=8), one])
    done = ask(run, held, leak)
    assert done.exit_code == 2
    assert "leak.jsonl: 1 of the examples that the student is trained on" in done.stderr
    assert "Which, 0, 0?" in done.stderr
    assert not (run / "evaluations").exists()
    assert (ask(run, held).exit_code, ask(run, held).stderr) == (0, "")


def test_rows_that_the_student_leaves_out_may_be_evaluated(
    tiny_model: Path, tmp_path: Path
) -> None:
    data = make_dataset(tmp_path / "data", rows(2))
    run = make_run(tiny_model, tmp_path / "run", str(data))
    settings = run / "final" / "student.json"
    config = {**json.loads(settings.read_text()), "data": {"nodes": ["another"]}}
    settings.write_text(json.dumps(config))
    assert ask(run, write(tmp_path / "held.jsonl", rows(2))).exit_code == 0


def test_what_chose_the_step_is_not_reported(tiny_model: Path, tmp_path: Path) -> None:
    data = make_dataset(tmp_path / "data", rows(2))
    run = make_run(tiny_model, tmp_path / "run", str(data))
    choose_by(run, write(tmp_path / "select.jsonl", rows(2, begin=2)))
    same = write(tmp_path / "same.jsonl", rows(2, begin=3))
    done = ask(run, same)
    assert done.exit_code == 2
    assert "same.jsonl: 2 of its questions" in done.stderr
    assert "select.jsonl" in done.stderr
    assert ask(run, write(tmp_path / "held.jsonl", rows(2, begin=4))).exit_code == 0


def test_what_is_gone_is_reported_as_unchecked(tiny_model: Path, tmp_path: Path) -> None:
    run = make_run(tiny_model, tmp_path / "run", str(tmp_path / "dataset"))
    choose_by(run, tmp_path / "away.jsonl")
    done = ask(run, write(tmp_path / "held.jsonl", rows(2)))
    assert done.exit_code == 0
    for name in ("dataset", "away.jsonl"):
        (line,) = [line for line in done.stderr.splitlines() if f"{tmp_path / name}" in line]
        assert "was not checked" in line
