"""The questions of the quick start: complete, unambiguous in form, balanced and disjoint."""

from __future__ import annotations

import json
from collections import Counter
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest

from raygen.core.task import TASKS

DATA = Path(__file__).parents[3] / "recipes" / "data"
FILES = {"everyday.jsonl": 64, "everyday_select.jsonl": 48, "everyday_heldout.jsonl": 48}


def read(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def stem(question: str) -> str:
    return "".join(c for c in question.lower() if c.isalnum())


@pytest.mark.parametrize(("name", "count"), FILES.items())
def test_rows_are_complete_and_unique(name: str, count: int) -> None:
    rows = read(name)
    assert len(rows) == count
    assert len({stem(row["question"]) for row in rows}) == count
    for row in rows:
        assert set(row) == {"question", "choices", "answer"}
        assert len(row["choices"]) == len(set(row["choices"])) == 4
        assert row["answer"] in row["choices"]
        TASKS["multiple_choice"].normalise(row)


@pytest.mark.parametrize(("name", "count"), FILES.items())
def test_right_answers_are_balanced_over_the_letters(name: str, count: int) -> None:
    places = Counter(row["choices"].index(row["answer"]) for row in read(name))
    assert places == dict.fromkeys(range(4), count // 4)


@pytest.mark.parametrize(("one", "other"), list(combinations(FILES, 2)))
def test_no_question_is_in_two_files(one: str, other: str) -> None:
    first, second = ({stem(row["question"]) for row in read(name)} for name in (one, other))
    assert not first & second
