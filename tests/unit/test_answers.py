"""Reading answers: exactly one option, or None."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.answers import names_option, read_answer

CHOICES = ["bank", "river bank", "the moon", "New York"]


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Money is kept there. So the answer is: (a)", 0),
        ("Money is kept there. So the answer is (A).", 0),
        ("So the answer is: b", 1),
        ("Therefore, the correct answer is river bank.", 1),
        ("The answer is bank", 0),
        ("The answer is the moon because it is far", 2),
        ("The answer is: (c) the moon", 2),
        ("Answer: (d)", 3),
        ("the answer would be new york", 3),
        ("First I thought the answer is (a). But the answer is (b)", 1),
        ("It can only be (c).", 2),
        ("One sees it at night: the moon", 2),
        ("So the answer is [b]", 1),
        ("So the answer is option c", 2),
        ("So the answer is: moon.", 2),
        ("So the answer is: to the moon", 2),
        ("So the answer is: a bank", 0),
    ],
)
def test_texts_that_name_one_option(text: str, option: int) -> None:
    assert read_answer(text, CHOICES).option == option


@pytest.mark.parametrize(
    "text",
    [
        "",
        "I don't know.",
        "So the answer is: (a) or (b)",
        "So the answer is: (f)",
        "Either (a) or (c) could do.",
        "the moon over New York",
        "So the answer is:",
        "So the answer is a mystery to me",
    ],
)
def test_texts_that_name_none_or_several(text: str) -> None:
    assert read_answer(text, CHOICES).option is None


def test_the_answer_phrase_is_stripped_from_the_rationale() -> None:
    answer = read_answer("Fish need water to breathe. So the answer is: (b)", ["sky", "water"])
    assert answer.rationale == "Fish need water to breathe."


def test_an_option_is_named_as_whole_words() -> None:
    assert names_option("He sat on the River Bank.", "river bank")
    assert not names_option("embankment", "bank")


@given(st.text(max_size=200))
def test_any_text_gives_an_option_of_the_list_or_none(text: str) -> None:
    answer = read_answer(text, CHOICES)
    assert answer.option is None or 0 <= answer.option < len(CHOICES)
    assert answer.rationale in text


@given(st.integers(0, 3), st.text("abc .,\n", max_size=40))
def test_an_announced_letter_is_read_whatever_came_before(option: int, before: str) -> None:
    text = f"{before} So the answer is: ({'abcd'[option]})"
    assert read_answer(text, CHOICES).option == option
