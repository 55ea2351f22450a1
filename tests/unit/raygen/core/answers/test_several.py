import pytest

from raygen.core.answers import read_answer, read_free_answer

CHOICES = ["tree", "river bank", "sea"]


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("It flows. The answer is (b). The answer is (b).", "It flows."),
        ("It flows. So the answer is: (b). **Answer: B**", "It flows."),
        ("It flows.\nThe answer is B.\n\nAnswer: \\boxed{B}", "It flows."),
        ("It flows. I choose option B. The answer is river bank. The answer is (b).", "It flows."),
        ("The answer is (b). The answer is (b).", ""),
        ("The answer is (b). The answer is (b). Because it flows.", "it flows."),
        ("The answer is (b). It flows. The answer is (b).", "The answer is (b). It flows."),
        ("The answer is (a). The answer is (b).", "The answer is (a)."),
    ],
)
def test_no_repeated_announcement_stays_in_the_rationale(text: str, rationale: str) -> None:
    answer = read_answer(text, CHOICES)
    assert (answer.option, answer.rationale) == (1, rationale)


@pytest.mark.parametrize(
    "text",
    [
        "The answer to the first is A, to the second B.",
        "The answer to the first is A, the second B.",
        "First question: the answer is A. Second question: the answer is B.",
    ],
)
def test_answers_to_different_questions_name_none(text: str) -> None:
    assert read_answer(text, CHOICES).option is None


@pytest.mark.parametrize(
    ("text", "rationale"),
    [
        ("3 + 4 = 7. The answer is 7. The answer is 7.", "3 + 4 = 7."),
        ("3 + 4 = 7. The answer is 7.\n#### 7", "3 + 4 = 7."),
        ("3 + 4 = 7. The answer is 7. \\boxed{7}", "3 + 4 = 7."),
        ("3 + 4 = 7. The answer is 7 apples. The answer is 7.", "3 + 4 = 7."),
        ("The answer is 7. The answer is 7.", ""),
        ("We add. The answer is 8. The answer is 7.", "We add. The answer is 8."),
    ],
)
def test_no_repeated_free_announcement_stays_in_the_rationale(text: str, rationale: str) -> None:
    answer = read_free_answer(text)
    assert (answer.text, answer.rationale) == ("7", rationale)
