"""Reading answers: exactly one option, or None; and how sure the reading is."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.answers import names_option, read_answer

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
        ("B", 1),
        ("(b)", 1),
        ("B.", 1),
        ("Option B", 1),
        ("B) river bank", 1),
        ("**Answer: B**", 1),
        ("**Answer:** B", 1),
        ("The final answer is **(B) river bank**.", 1),
        ("The answer is 'New York'.", 3),
        ("I am sure of it.\nB", 1),
        ("I would choose (c).", 2),
        ("(b) is the correct answer.", 1),
        ("B is correct.", 1),
        ("(a) is wrong. (c) is right.", 2),
        ("#### B", 1),
        ("\\boxed{B}", 1),
        ("So the answer is $\\boxed{\\text{(B)}}$.", 1),
        ('{"answer": "B"}', 1),
        ('{"answer": "b"}', 1),
        ('Here:\n```json\n{"reasoning": "It flows.", "answer": "river bank"}\n```', 1),
        ("The answer is (b), not (a).", 1),
        ("The answer isn't (a), it is (c).", 2),
        ("The answer is (b) because (a) keeps money.", 1),
        ("Eliminate choices (A) and (B). That leaves (C).", 2),
        ("Therefore the answer is most likely C, the moon", 2),
        ("Consider each choice: A: no. B: no. The answer is (d).", 3),
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
        "(A) and (B)",
        "either (a) or (d)",
        "The answer is A and B.",
        "A or D",
        "The answer is D and then B.",
        "not (b)",
        "The answer is not (b).",
        "Neither (a) nor (b).",
        "(b) is wrong.",
        "It can't be the moon.",
        "The answer is the bank or the moon.",
        "The answer is (c) New York.",
        "The answer is (a) a bicycle.",
        "The answer is none of the above.",
        "For the first the answer is (a). In the end the answer is: it depends.",
        "Evaluate each choice: A: far away. B: wet. C: up there.",
        '{"answer": "A or B"}',
        "\\boxed{A, B}",
    ],
)
def test_texts_that_name_none_or_several(text: str) -> None:
    assert read_answer(text, CHOICES).option is None


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("Yes.", 0),
        ("So the answer is no.", 1),
        ("**No**", 1),
        ("The answer is: True", 0),
        ("No, fish have gills.", 1),
        ("The answer is most likely No.", 1),
        ("There is no evidence of it.", None),
        ("yes and no", None),
        ("The answer is no longer known.", None),
    ],
)
def test_yes_and_no_are_answers_only_where_they_stand_alone(text: str, option: int | None) -> None:
    assert read_answer(text, ["yes", "no"]).option == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("positive", 0),
        ("Label: Negative", 1),
        ("not positive", None),
        ("It is neither positive nor negative.", None),
    ],
)
def test_labels_are_options_too(text: str, option: int | None) -> None:
    assert read_answer(text, ["positive", "negative"]).option == option


def test_an_option_may_be_a_number_of_any_length() -> None:
    long = "9" * 5000
    assert read_answer(f"So the answer is: {long}", ["1,000", long]).option != 0
    assert read_answer("So the answer is: 1000", ["1,000", long]).option == 0


def test_an_option_with_not_in_it_is_no_denial() -> None:
    choices = ["acceptable", "not acceptable"]
    assert read_answer("So the answer is: not acceptable", choices).option == 1
    assert read_answer("So the answer is (b) not acceptable", choices).option == 1


@pytest.mark.parametrize(
    ("text", "confidence"),
    [
        ('{"answer": "B"}', 1.0),
        ("\\boxed{B}", 1.0),
        ("So the answer is: (b)", 0.95),
        ("(b)", 0.9),
        ("(b) is the right answer", 0.85),
        ("The answer is something one sees at the river bank", 0.7),
        ("The answer is (a). No, the answer is (b).", 0.665),
        ("It can only be (b)", 0.5),
        ("One fishes at the river bank", 0.3),
        ("Who knows?", 0.0),
    ],
)
def test_how_sure_a_reading_is(text: str, confidence: float) -> None:
    assert read_answer(text, CHOICES).confidence == confidence


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("Rivers have banks. So the answer is: (b)", "Rivers have banks."),
        ("Rivers have banks. **The answer is (b)**", "Rivers have banks."),
        ("Rivers have banks, so the answer is (b) river bank.", "Rivers have banks"),
        ("Rivers have banks. Thus \\boxed{B}.", "Rivers have banks. Thus"),
        ("Rivers have banks. (b) is the right answer.", "Rivers have banks."),
        ("Rivers have banks.\n(b)", "Rivers have banks."),
        ('{"answer": "B", "rationale": "Rivers have banks."}', "Rivers have banks."),
        ("The answer is B because rivers have banks.", "rivers have banks."),
        ("Answer: B\nRationale: rivers have banks.", "rivers have banks."),
        ("The answer is (b).", ""),
        ("The moon is round, and that is the moon", "The moon is round, and that is the moon"),
    ],
)
def test_the_announcement_is_stripped_from_the_rationale(text: str, rationale: str) -> None:
    assert read_answer(text, CHOICES).rationale == rationale


def test_an_option_is_named_as_whole_words() -> None:
    assert names_option("He sat on the River Bank.", "river bank")
    assert not names_option("embankment", "bank")


@given(st.text(max_size=200), st.lists(st.text(min_size=1, max_size=8), min_size=2, max_size=5))
def test_any_text_gives_an_option_of_the_list_or_none(text: str, choices: list[str]) -> None:
    answer = read_answer(text, choices)
    assert answer.option is None or 0 <= answer.option < len(choices)
    assert (answer.option is None) == (answer.confidence == 0)
    assert 0 <= answer.confidence <= 1


@given(st.text("(abcd) .,:orntABCDheaswi\n*", max_size=60))
def test_a_rationale_is_a_part_of_the_text(text: str) -> None:
    assert read_answer(text, CHOICES).rationale in text


@given(st.integers(0, 3), st.text("abc .,\n", max_size=40))
def test_an_announced_letter_is_read_whatever_came_before(option: int, before: str) -> None:
    text = f"{before} So the answer is: ({'abcd'[option]})"
    assert read_answer(text, CHOICES).option == option


@given(
    st.integers(0, 3),
    st.integers(0, 3),
    st.sampled_from(["or", "and", "/", ","]),
    st.sampled_from(["So the answer is", "Answer:", "The best choice is either"]),
    st.sampled_from(["({})", "{}", "option {}"]),
)
def test_two_announced_letters_are_no_answer(
    first: int, other: int, joint: str, phrase: str, form: str
) -> None:
    letters = [form.format("ABCD"[index]) for index in (first, other)]
    read = read_answer(f"{phrase} {letters[0]} {joint} {letters[1]}.", CHOICES).option
    assert read == (first if first == other else None)


@given(st.integers(0, 3), st.sampled_from(["answer", "choice", "label"]))
def test_json_is_read_by_letter_and_by_text(option: int, key: str) -> None:
    for value in ("ABCD"[option], CHOICES[option]):
        text = f"Some thoughts.\n{json.dumps({key: value})}"
        assert read_answer(text, CHOICES).option == option


@pytest.mark.parametrize(
    ("text", "option"),
    [
        ("So the answer is: e-paper.", None),
        ("So the answer is: A-frame houses", None),
        ("So the answer is: e.g. paper", None),
        ("The answer is B/C", None),
        ("So the answer is: E-blotter", 4),
        ("So the answer is: E - blotter", 4),
        ("So the answer is: E.", 4),
    ],
)
def test_a_letter_that_begins_a_word_is_no_answer(text: str, option: int | None) -> None:
    choices = ["pocket", "hand", "inkwell", "drawer", "blotter"]
    assert read_answer(text, choices).option == option
