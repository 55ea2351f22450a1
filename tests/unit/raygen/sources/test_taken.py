"""Rows as a recipe takes them: those that don't fit have a reason, and are no reason to stop."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from raygen.core.task import TASKS, make_task
from raygen.dataset.storage import Folder
from raygen.sources import SourceError, check_source, key_source, scan_columns, take_rows
from tests.unit.raygen.sources.test_keyed import Repeated, Sample, Spec, write_lines

CHOICE = TASKS["multiple_choice"]
COUNTS = make_task("classification", ["1", "2", "3", "4", "5"])


def quiz(count: int, bad: int = 0) -> list[dict[str, Any]]:
    rows = [
        {"question": f"Q{at}?", "choices": ["yes", "no", "maybe"], "answer": at % 3}
        for at in range(count)
    ]
    for at in range(bad):
        rows[3 * at + 1]["answer"] = "Z"
    return rows


def test_rows_that_do_not_fit_stay_with_their_reason(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", quiz(30, bad=2))
    source = key_source(Spec("q.jsonl"), CHOICE, tmp_path, Folder.at(tmp_path / "out"))
    assert (source.total, len(set(source.keys))) == (30, 30)
    assert sorted(source.invalid) == [1, 4]
    assert "q.jsonl, line 2: answer is 'Z'" in source.invalid[1]
    assert source.fitting == [at for at in range(30) if at not in (1, 4)]
    (key, row), = source.read([1])  # fmt: skip
    assert key == source.keys[1]
    assert row == {"question": "Q1?", "choices": ["yes", "no", "maybe"], "answer": None}


def test_too_many_of_them_are_refused(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", quiz(30, bad=4))
    spec = Spec("q.jsonl")
    for look in (take_rows, check_source):
        with pytest.raises(SourceError, match=r"4 of 30 rows.*more than source\.max_invalid"):
            look(spec, CHOICE, tmp_path)
        with pytest.raises(SourceError, match=r"4 of 30 rows.*source\.invalid is refuse"):
            look(replace(spec, invalid="refuse", max_invalid=1.0), CHOICE, tmp_path)
    assert len(take_rows(replace(spec, max_invalid=0.2), CHOICE, tmp_path).rows) == 30


def test_keys_do_not_hang_on_the_rows_that_do_not_fit(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", quiz(30))
    before = take_rows(Spec("q.jsonl"), CHOICE, tmp_path).keys
    write_lines(tmp_path / "q.jsonl", quiz(30, bad=2))
    after = take_rows(Spec("q.jsonl"), CHOICE, tmp_path).keys
    assert [at for at in range(30) if before[at] != after[at]] == [1, 4]


def test_a_row_that_does_not_fit_repeats_none_and_is_in_no_sample(tmp_path: Path) -> None:
    rows = quiz(30, bad=1)
    rows.append({**rows[1], "answer": "no"})
    write_lines(tmp_path / "q.jsonl", rows)
    taken = take_rows(Spec("q.jsonl", repeated=Repeated(("question",))), CHOICE, tmp_path)
    assert (len(taken.rows), taken.left_out) == (31, 0)
    part = take_rows(Spec("q.jsonl", sample=Sample(30)), CHOICE, tmp_path)
    assert not any(row.invalid for row in part.rows)
    pool = take_rows(Spec("q.jsonl", sample=Sample(None, 0, "answer")), CHOICE, tmp_path)
    assert [bool(row.invalid) for row in pool.rows].index(True) == 30


def test_how_many_options_were_merged_is_reported_once(tmp_path: Path) -> None:
    rows = quiz(9)
    rows[4] = {"question": "Q?", "choices": ["a", "b", "a", "c"], "answer": 3}
    write_lines(tmp_path / "q.jsonl", rows)
    source = key_source(Spec("q.jsonl"), CHOICE, tmp_path, Folder.at(tmp_path / "out"))
    assert source.read([4])[0][1]["answer"] == 2
    assert source.notes[0] == ("1 repeated option in 1 row merged with the same option before it")


def test_a_look_at_a_sample_says_what_share_fits(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", quiz(3000, bad=200))
    fit = check_source(Spec("q.jsonl"), CHOICE, tmp_path)
    assert fit.checked == 1000
    assert 40 <= fit.invalid <= 100
    assert len(fit.first) == 3
    assert fit == check_source(Spec("q.jsonl"), CHOICE, tmp_path)
    assert fit.lines()[0] == f"{(1000 - fit.invalid) / 10:g}% of 1,000 rows fit"


def test_labels_0_to_4_of_the_classes_1_to_5(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [{"text": f"T{at}", "label": at % 5} for at in range(10)])
    taken = take_rows(Spec("q.jsonl"), COUNTS, tmp_path)
    assert [row.data["label"] for row in taken.rows[:5]] == ["1", "2", "3", "4", "5"]


def test_numbers_that_count_from_one(tmp_path: Path) -> None:
    animals = ["dog", "cat", "cow", "hen"]
    write_lines(
        tmp_path / "q.jsonl",
        [{"question": f"Q{at}?", "choices": animals, "answer": at} for at in (1, 2)],
    )
    assert (
        "source.answer_is: position says so"
        in take_rows(Spec("q.jsonl"), CHOICE, tmp_path).notes[0]
    )
    taken = take_rows(Spec("q.jsonl", answer_is="position"), CHOICE, tmp_path)
    assert [row.data["answer"] for row in taken.rows] == [0, 1]


def test_a_label_of_the_source_is_not_taken_for_a_students_target(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [{**row, "label": 2} for row in quiz(3)])
    for look in (take_rows, check_source):
        with pytest.raises(SourceError, match=r"rename it by source\.columns: .source_label"):
            look(Spec("q.jsonl"), CHOICE, tmp_path)
    renamed = Spec("q.jsonl", columns={"source_label": "label"})
    assert take_rows(renamed, CHOICE, tmp_path).rows[0].data["source_label"] == 2
    same = Spec("q.jsonl", columns={"label": "label"})
    assert take_rows(same, CHOICE, tmp_path).rows[0].data["label"] == 2


def test_a_column_that_datasets_have_of_their_own_is_left_out_aloud(tmp_path: Path) -> None:
    write_lines(tmp_path / "q.jsonl", [{**row, "id": "x"} for row in quiz(3)])
    (note,) = [n for n in take_rows(Spec("q.jsonl"), CHOICE, tmp_path).notes if "'id'" in n]
    assert "source.columns: {source_id: id} keeps it" in note


def test_half_a_character_in_another_column_does_not_stop_a_run(tmp_path: Path) -> None:
    rows = [json.dumps({**row, "note": "x"}).replace('"x"', '"\\ud83d"') for row in quiz(3)]
    (tmp_path / "q.jsonl").write_text("\n".join(rows))
    source = key_source(Spec("q.jsonl"), CHOICE, tmp_path, Folder.at(tmp_path / "out"))
    assert source.read([0])[0][1]["note"] == "?"


def test_columns_of_paths_lists_and_templates(tmp_path: Path) -> None:
    rows = [
        {"q": {"stem": f"Q{at}?"}, "A": "yes", "B": "no", "premise": f"P{at}", "n": {"x": [7]},
         "key_": at % 2, "hint": None}
        for at in range(4)
    ]  # fmt: skip
    write_lines(tmp_path / "q.jsonl", rows)
    columns = {
        "question": "{{ premise }}{{ hint }} / {{ q.stem }}",
        "choices": ["A", "B"],
        "answer": "key_",
        "seven": "n.x.0",
    }
    spec = Spec("q.jsonl", columns=columns)
    row = take_rows(spec, CHOICE, tmp_path).rows[1].data
    assert row["question"] == "P1 / Q1?"
    assert (row["choices"], row["answer"], row["seven"], row["A"]) == (["yes", "no"], 1, 7, "yes")
    types = scan_columns(spec, tmp_path)
    assert (types["question"], types["choices"], types["seven"]) == ("string", "strings", "integer")


@pytest.mark.parametrize("column", ["{{ premis }}", ["A", "C"], "z.stem"])
def test_a_column_that_is_made_of_one_that_is_not_there(tmp_path: Path, column: Any) -> None:
    write_lines(tmp_path / "q.jsonl", [{"premise": "P", "A": "yes", "B": "no"}])
    with pytest.raises(SourceError, match=r"has no column '.*' \(source\.columns\.question\)"):
        scan_columns(Spec("q.jsonl", columns={"question": column}), tmp_path)


def test_a_template_that_fails_drops_its_row(tmp_path: Path) -> None:
    rows = [{"n": 1, "of": 2, "answer": "x"} for _ in range(11)]
    rows[3]["of"] = 0
    write_lines(tmp_path / "q.jsonl", rows)
    spec = Spec("q.jsonl", columns={"question": "{{ n / of }}"})
    taken = take_rows(spec, TASKS["free_text"], tmp_path)
    assert [at for at, row in enumerate(taken.rows) if row.invalid] == [3]
    assert "division by zero" in taken.rows[3].invalid
