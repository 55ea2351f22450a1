"""Answers without options: what is read, and which answers are the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.answers import read_free_answer


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


@given(st.text(max_size=120))
def test_any_text_can_be_read(text: str) -> None:
    read = read_free_answer(text)
    assert (read.text is None) == (read.confidence == 0)
