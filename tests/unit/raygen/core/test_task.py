"""Source rows brought to their task's canonical form."""

from dataclasses import replace
from typing import Any

import pytest

from raygen.core.task import TASKS

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


@pytest.mark.parametrize(("labels", "answer"), [(["A", "B", "C"], "B"), (["1", "2", "3"], "2")])
def test_options_come_as_the_hub_keeps_them(labels: list[str], answer: str) -> None:
    row = TASKS["multiple_choice"].normalise(
        {"question": "Which?", "choices": {"label": labels, "text": CHOICES}, "answer": answer}
    )
    assert (row["choices"], row["answer"]) == (CHOICES, 1)


def test_options_come_at_the_end_of_the_question() -> None:
    text = "Ice is smoother than sand. Where does a sled slide further? (A) ice (B) sand"
    row = TASKS["multiple_choice"].normalise({"question": text, "choices": text, "answer": 0})
    assert row["choices"] == ["ice", "sand"]
    assert row["question"] == "Ice is smoother than sand. Where does a sled slide further?"


@pytest.mark.parametrize("text", ["no options", "(B) late (A) wrong order", "(A) only one"])
def test_a_text_without_lettered_options_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="choices"):
        TASKS["multiple_choice"].normalise({"question": "?", "choices": text, "answer": 0})


SENTIMENT = replace(TASKS["classification"], labels=("negative", "positive"))


@pytest.mark.parametrize("label", ["positive", 1, 1.0, "1"])
def test_where_the_classes_are_known_an_index_stands_for_one(label: Any) -> None:
    row = SENTIMENT.normalise({"text": "fine", "label": label})
    assert row["label"] == "positive"
    assert (SENTIMENT.gold(row), SENTIMENT.options(row)) == (1, ["negative", "positive"])
    assert SENTIMENT.answered(0) == {"label": "negative"}


@pytest.mark.parametrize("label", ["neutral", 2, -1, True])
def test_a_label_outside_the_classes_is_refused(label: Any) -> None:
    with pytest.raises(ValueError, match="outside the labels"):
        SENTIMENT.normalise({"text": "fine", "label": label})


@pytest.mark.parametrize(
    ("predicted", "expected"), [(0, 0), (1, 0), (2, 1), (3, 3), (-1, -1), ("a", "a"), (None, None)]
)
def test_a_recorded_prediction_moves_along_with_merged_options(
    predicted: Any, expected: Any
) -> None:
    row = {"question": "Which?", "choices": ["red", "red", "blue"], "answer": 2}
    fitted = TASKS["multiple_choice"].normalise({**row, "predicted": predicted})
    assert (fitted["choices"], fitted["answer"]) == (["red", "blue"], 1)
    assert fitted["predicted"] == expected
    assert "predicted" not in TASKS["multiple_choice"].normalise(row)
