"""Answers without options: what is read, and which answers are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.answers import answer_key, read_free_answer


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        ("There are 3 + 4. The answer is 7.", "7"),
        ("First the answer is 5. So the final answer is 7 apples.", "7 apples"),
        ("#### 18", "18"),
        ("It is \\boxed{\\frac{1}{2}}", "\\frac{1}{2}"),
        ('{"answer": 7}', "7"),
        ("**Answer:** Paris", "Paris"),
        ("The answer is 1.5.", "1.5"),
        ("The answer is (215 / 5).", "(215 / 5)"),
        ("42", "42"),
        ("New York", "New York"),
        ("She walked for three hours and then rested, which makes 76 minutes in all", "76"),
        ("", None),
        ("I really can't say what it is, as nobody ever told me.", None),
        ("Well, I would have to think. The answer is", None),
    ],
)
def test_what_is_read(text: str, answer: str | None) -> None:
    assert read_free_answer(text).text == answer


def test_the_announcement_is_stripped_from_the_rationale() -> None:
    assert read_free_answer("3 + 4 = 7. So the answer is 7.").rationale == "3 + 4 = 7."


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("1,000", "1000", True),
        ("$5.00", "5", True),
        ("50%", "50", True),
        ("42 + 66 = 108", "108", True),
        ("(215 / 5)", "43", True),
        ("1/2", "0.5", True),
        ("\\frac{1}{2}", "0.5", True),
        ("3 apples", "3", True),
        ("240g", "240", True),
        ("6th", "6", True),
        ("an", "an", True),
        ("Paris.", "paris", True),
        ("The Moon", "moon", True),
        ("-3", "3", False),
        ("3 or 4", "3", False),
        ("Paris", "London", False),
        ("", "", False),
        ("9**9**9", "1", False),
        ("1/0", "1", False),
    ],
)
def test_which_answers_are_the_same(first: str, second: str, same: bool) -> None:
    assert (answer_key(first) == answer_key(second) != "") is same


@given(st.integers(-(10**9), 10**9))
def test_a_number_is_itself_however_it_is_written(number: int) -> None:
    for written in (f"{number:,}", f"{number}.0", f"{number}.", f" {number} apples"):
        assert answer_key(written) == answer_key(str(number)) != ""
    assert answer_key(str(number)) != answer_key(str(number + 1))


@given(st.text(max_size=60))
def test_any_text_has_a_key_that_is_its_own(text: str) -> None:
    assert answer_key(text) == answer_key(f" {text} ")


@given(st.text(max_size=120))
def test_any_text_can_be_read(text: str) -> None:
    read = read_free_answer(text)
    assert (read.text is None) == (read.confidence == 0)
