"""How a source's answers are written is decided for all of its rows, never by one."""

from collections.abc import Sequence
from typing import Any

import pytest

from raygen.core.choices import (
    AnswerForms,
    FormCount,
    UndecidedError,
    find_answer,
    read_options,
)

ANIMALS = ["dog", "cat", "cow", "hen"]

Row = tuple[Sequence[Any], Any]


def decided(rows: Sequence[Row], tolerance: float = 0.1) -> tuple[AnswerForms, list[str]]:
    count = FormCount()
    for choices, answer in rows:
        count.add(answer, read_options(list(choices)))
    return count.decide("answer", tolerance)


def answers(rows: Sequence[Row]) -> list[int | None]:
    forms, _ = decided(rows)
    return [find_answer(answer, read_options(list(choices)), forms) for choices, answer in rows]


def test_a_zero_says_that_numbers_count_from_0() -> None:
    rows = [(ANIMALS, 0), (ANIMALS, 1), (ANIMALS, "2")]
    assert answers(rows) == [0, 1, 2]
    assert decided(rows)[1] == ["answer: numbers are read as indices from 0"]


def test_the_number_of_a_last_option_says_that_numbers_count_from_1() -> None:
    rows = [(ANIMALS, 1), (ANIMALS, 4), (ANIMALS, 2)]
    assert answers(rows) == [0, 3, 1]
    assert decided(rows)[1] == ["answer: numbers are read as positions from 1"]


def test_numbers_with_neither_are_indices_with_a_hint() -> None:
    rows = [(ANIMALS, 1), (ANIMALS, 2)]
    assert answers(rows) == [1, 2]
    (note,) = decided(rows)[1]
    assert note.startswith("answer: numbers are read as indices from 0; no row has 0")
    assert "source.answer_is: position" in note


def test_a_few_rows_outside_do_not_undecide_the_others() -> None:
    rows = [(ANIMALS, at % 4) for at in range(100)]
    assert decided([*rows, (ANIMALS, 4)])[0].number == "index"
    with pytest.raises(UndecidedError, match="no one form"):
        decided([*rows, *[(ANIMALS, 4)] * 50])


def test_options_that_are_numbers() -> None:
    with pytest.raises(UndecidedError, match="texts of options or indices from 0"):
        decided([(["1", "2", "3", "4"], "2"), (["5", "2", "3", "1"], "3")])
    assert answers([(["72", "18"], "18"), (["5", "40"], 40)]) == [1, 1]
    assert answers([(["1", "2"], 1), (["1", "2"], 2)]) == [0, 1]  # both ways say the same


def test_options_that_are_letters() -> None:
    rows = [("BADC", "A"), (ANIMALS, "A"), (["O", "A", "B", "AB"], 0)]
    assert answers(rows) == [0, 0, 0]
    assert "answer: letters are read as the letters of options" in decided(rows)[1]
    with pytest.raises(UndecidedError, match="answer_is: text or letter"):
        decided([("BADC", "A"), ("BADC", "C")])


def test_a_mark_that_comes_with_its_option_leaves_nothing_open() -> None:
    options = read_options({"label": list("ABCD"), "text": list("BADC")})
    count = FormCount()
    count.add("A", options)
    forms, notes = count.decide("answer", 0.1)
    assert (find_answer("A", options, forms), notes) == (0, [])
    numbered = read_options({"label": ["1", "2"], "text": ["red", "green"]})
    assert [find_answer(each, numbered, forms) for each in (1, "2", 0)] == [0, 1, None]


@pytest.mark.parametrize(
    ("form", "value", "found"),
    [
        ("index", 1, 1), ("index", "1", 1), ("index", 4, None), ("index", "cat", None),
        ("position", 1, 0), ("position", "4", 3), ("position", 0, None),
        ("letter", "b", 1), ("letter", "cat", None), ("text", "cat", 1), ("text", "b", None),
    ],
)  # fmt: skip
def test_a_recipe_may_say_the_form(form: Any, value: Any, found: int | None) -> None:
    assert find_answer(value, read_options(ANIMALS), AnswerForms(only=form)) == found


@pytest.mark.parametrize("choices", [["yes", "no"], ["no", "yes"], ["True", "False"]])
def test_booleans_name_the_option_that_says_so(choices: list[str]) -> None:
    options = read_options(choices)
    found = find_answer(True, options)
    assert found is not None
    assert options.texts[found].casefold() in ("yes", "true")
    assert find_answer(False, options) == 1 - found
    assert find_answer(True, read_options(ANIMALS)) is None


def test_answers_move_along_with_merged_and_missing_options() -> None:
    options = read_options(["home", "shop", "home", None, "office"])
    assert [find_answer(index, options, AnswerForms()) for index in range(5)] == [0, 1, 0, None, 2]
    assert find_answer("E", options, AnswerForms()) == 2
