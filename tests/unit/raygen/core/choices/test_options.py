"""Options in every form in which they are published."""

from typing import Any

import pytest

from raygen.core.choices import read_options


@pytest.mark.parametrize(
    "written",
    [
        ["red", "green"],
        ("red", " green "),
        {"text": ["red", "green"], "label": ["A", "B"]},
        {"A": "red", "B": "green", "C": None, "D": ""},
        [{"label": "A", "text": "red"}, {"label": "B", "text": "green"}],
        '["red", "green"]',
        "['red', 'green']",
        "{'A': 'red', 'B': 'green'}",
        "Which? (A) red (B) green",
        ["red", "green", None, float("nan"), "  "],
    ],
)
def test_every_form_gives_the_same_options(written: Any) -> None:
    assert read_options(written).texts == ("red", "green")


def test_marks_come_with_their_options() -> None:
    assert read_options({"text": ["red", "green"], "label": ["1", "2"]}).marks == ("1", "2")
    assert read_options({"A": "red", "B": "green"}).marks == ("A", "B")
    assert read_options([{"label": "X", "text": "a"}, {"label": "Y", "text": "b"}]).marks == (
        "X",
        "Y",
    )


def test_a_repeated_option_is_merged_with_the_one_before_it() -> None:
    options = read_options(["city", "coast", "city", "", "boston"])
    assert options.texts == ("city", "coast", "boston")
    assert options.slots == (0, 1, 0, None, 2)
    assert options.merged == 1


@pytest.mark.parametrize("written", ["[[[[", "[" * 50_000, "['a'", "{1: 2", "(1 +", 3, {}, [[1]]])
def test_what_has_no_options_is_refused(written: Any) -> None:
    with pytest.raises(ValueError, match="choices"):
        read_options(written)
