"""Source rows brought to their task's canonical form."""

from typing import Any

import pytest

from raygen.task import TASKS

CHOICES = ["red", "green", "blue"]


@pytest.mark.parametrize("answer", [1, 1.0, "b", "B", "green", " green "])
def test_the_answer_comes_as_index_letter_or_text(answer: Any) -> None:
    row = TASKS["multiple_choice"].normalise(
        {"question": "Which?", "choices": CHOICES, "answer": answer}
    )
    assert row["answer"] == 1


@pytest.mark.parametrize("answer", [3, -1, "z", "yellow", None, True, 1.5])
def test_an_answer_outside_the_choices_is_refused(answer: Any) -> None:
    with pytest.raises(ValueError, match="answer is"):
        TASKS["multiple_choice"].normalise(
            {"question": "Which?", "choices": CHOICES, "answer": answer}
        )


@pytest.mark.parametrize("choices", [None, [], ["one"], "ab", ["a", "a"], ["x"] * 30])
def test_unusable_choices_are_refused(choices: Any) -> None:
    with pytest.raises(ValueError, match="choices"):
        TASKS["multiple_choice"].normalise({"question": "?", "choices": choices, "answer": 0})


def test_an_empty_question_is_refused() -> None:
    with pytest.raises(ValueError, match="question"):
        TASKS["free_text"].normalise({"question": "  "})


def test_labels_become_text() -> None:
    assert TASKS["classification"].normalise({"text": "fine", "label": 1})["label"] == "1"
