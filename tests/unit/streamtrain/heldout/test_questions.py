import json
from pathlib import Path

import pytest

from streamtrain.errors import InputError
from streamtrain.heldout import read_held_out, read_questions


def written(path: Path, bad: int, good: int = 38) -> Path:
    rows = [{"question": f"q{n}", "choices": ["x", "y"], "answer": 0} for n in range(good)]
    rows[3:3] = [{"question": "q", "choices": ["x", "x"], "answer": 0}] * bad
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_rows_that_do_not_fit_are_left_out_and_counted(tmp_path: Path) -> None:
    file = read_held_out(written(tmp_path / "dev.jsonl", bad=2))
    assert len(file.questions) == 38
    assert file.note is not None
    assert "dev.jsonl: 2 rows left out: row 4: choices is" in file.note
    assert [text.partition(":")[0] for text in file.invalid] == ["row 4", "row 5"]


def test_of_a_pair_both_questions_are_left_out(tmp_path: Path) -> None:
    path = written(tmp_path / "dev.jsonl", bad=0)
    pair = {"question": "a", "choices": ["x", "y"], "answer": 0, "cf_question": "b", "cf_answer": 9}
    path.write_text(path.read_text() + json.dumps(pair) + "\n")
    assert len(read_questions(path)) == 38


def test_a_file_of_which_more_than_a_tenth_does_not_fit_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path / "dev.jsonl", bad=5)
    with pytest.raises(InputError, match="5 of 43 rows don't fit the task 'multiple_choice'"):
        read_questions(path)


def test_all_rows_fit_without_a_note(tmp_path: Path) -> None:
    assert read_held_out(written(tmp_path / "dev.jsonl", bad=0)).note is None
