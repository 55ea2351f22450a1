"""Figures of an evaluation against plain references: pairs, calibration, votes, significance."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import pytest

from raygen.core.stats import wilson
from streamtrain.errors import InputError
from streamtrain.evaluation.metrics import score_predictions
from streamtrain.evaluation.statistics import bootstrap, calibration_error, mcnemar, share_interval
from streamtrain.heldout.overlap import shared_questions
from streamtrain.heldout.prediction import Prediction, majority_vote
from streamtrain.heldout.questions import Question, question_key, read_questions


def question(answer: int, group: str | None = None, variant: str = "original") -> Question:
    kind = "original" if variant == "original" else "counterfactual"
    return Question(f"Q {group} {variant}", ("a", "b"), answer, group, kind)


def test_mcnemar_is_a_fair_coin_over_the_items_that_differ() -> None:
    first, second = [True] * 6 + [False, True, False], [False] * 5 + [True, True, True, False]
    # Five for the first, one for the second: count all 64 coins that are at least as uneven.
    coins = [sum(coin) for coin in itertools.product((0, 1), repeat=6)]
    expected = sum(heads <= 1 or heads >= 5 for heads in coins) / 64
    assert mcnemar(first, second) == pytest.approx(expected)
    assert mcnemar(second, first) == pytest.approx(expected)
    assert mcnemar([True, False], [True, False]) == 1.0
    assert mcnemar([True] * 3000, [False] * 3000) == pytest.approx(0.0)


def test_a_bootstrap_of_small_samples_is_their_exact_distribution() -> None:
    """Of [0, 0, 1] a mean of 1 has chance 1/27 and one of 0 has 8/27, so both ends are drawn."""
    assert bootstrap([[0.0], [0.0], [1.0]], draws=4000) == (0.0, 1.0)
    assert bootstrap([[1.0], [1.0]]) == (1.0, 1.0)
    low, high = bootstrap([[1.0], [0.0]] * 200)
    assert (low, high) == pytest.approx((0.451, 0.549), abs=0.006)


def test_pairs_are_drawn_whole() -> None:
    """Where both of a pair are always alike, there is only half as much to know."""
    low, high = bootstrap([[1.0, 1.0], [0.0, 0.0]] * 100)
    assert (low, high) == pytest.approx((0.431, 0.569), abs=0.008)


def test_pairs_that_are_all_right_are_no_certainty() -> None:
    assert share_interval([[1.0, 1.0]] * 5) == wilson(5, 5)
    assert share_interval([[0.0, 0.0]] * 5) == wilson(0, 5)
    assert share_interval([[1.0, 1.0], [0.0, 1.0]]) == bootstrap([[1.0, 1.0], [0.0, 1.0]])


def test_calibration_is_the_gap_between_confidence_and_hits_by_bin() -> None:
    confidences, right = [0.95, 0.91, 0.55, 1.0], [True, False, True, True]
    # Bin [0.9, 1]: three, mean confidence 0.953, two right; bin [0.5, 0.6): one, 0.55, right.
    expected = 3 / 4 * abs(2 / 3 - (0.95 + 0.91 + 1.0) / 3) + 1 / 4 * abs(1 - 0.55)
    assert calibration_error(confidences, right) == pytest.approx(expected)


def test_the_majority_of_samples_wins_and_unread_ones_are_counted() -> None:
    assert majority_vote([2, None, 1, 1, None], 3) == Prediction(1, votes=(0, 2, 1), unread=2)
    assert majority_vote([2, 1], 3).choice == 2
    assert majority_vote([None, None], 2) == Prediction(None, votes=(0, 0), unread=2)


def test_a_pair_is_right_only_when_both_are() -> None:
    questions = [
        question(0, "x"),
        question(1, "x", "counterfactual"),
        question(0, "y"),
        question(1, "y", "counterfactual"),
        question(1, "alone"),
    ]
    result = score_predictions(questions, [Prediction(choice) for choice in (0, 1, 0, 0, None)])
    assert result.contrast is not None
    assert (result.contrast.original, result.contrast.counterfactual) == (1.0, 0.5)
    assert (result.contrast.pairs, result.contrast.both) == (2, 0.5)
    assert (result.correct, result.total, result.unparsed, result.chance) == (3, 5, 1, 0.5)
    assert score_predictions(questions[4:], [Prediction(1)]).contrast is None


def test_calibration_takes_the_confidence_in_the_chosen_option() -> None:
    questions = [question(0), question(0)]
    predictions = [Prediction(0, (0.8, 0.2)), Prediction(1, (0.3, 0.7))]
    assert score_predictions(questions, predictions).calibration == pytest.approx((0.2 + 0.7) / 2)
    assert score_predictions(questions, [Prediction(0), Prediction(1)]).calibration is None


def test_a_prediction_survives_the_file() -> None:
    for one in (
        Prediction(1, (0.25, 0.75), "So B."),
        majority_vote([0, None], 2),
        Prediction(None),
    ):
        assert Prediction.from_json(json.loads(json.dumps(one.to_json()))) == one


def write(folder: Path, *rows: dict[str, object]) -> Path:
    path = folder / "set.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_a_contrast_row_gives_two_questions_of_one_group(tmp_path: Path) -> None:
    row = {"id": "7", "text": "Good.", "label": 1, "cf_text": "Bad.", "cf_label": 0}
    first, second = read_questions(write(tmp_path, row), ("negative", "positive"))
    assert (first.choices, first.answer, first.variant) == (("negative", "positive"), 1, "original")
    assert (second.question, second.answer, second.variant) == ("Bad.", 0, "counterfactual")
    assert first.group == second.group
    assert first.group is not None
    (named, _) = read_questions(write(tmp_path, {**row, "group": 7}), ("negative", "positive"))
    assert named.group == "7"


def test_rows_that_two_files_both_count_from_0_are_different_pairs(tmp_path: Path) -> None:
    row = {"id": 0, "text": "Good.", "label": 1, "cf_text": "Bad.", "cf_label": 0}
    here, there = tmp_path / "here", tmp_path / "there"
    here.mkdir()
    there.mkdir()
    first = read_questions(write(here, row))
    assert shared_questions(first, read_questions(write(there, row))) == first
    other = {**row, "text": "Fine.", "cf_text": "Awful."}
    assert shared_questions(first, read_questions(write(there, other))) == []


def test_classes_that_nobody_names_are_those_of_the_file(tmp_path: Path) -> None:
    rows = [{"text": "a", "label": "warm"}, {"text": "b", "label": "cold"}]
    assert [q.choices for q in read_questions(write(tmp_path, *rows))] == [("cold", "warm")] * 2


def test_the_questions_of_a_group_may_come_as_rows(tmp_path: Path) -> None:
    base = {"question": "q", "choices": ["a", "b"], "answer": 0, "group": 3}
    rows = [base, {**base, "question": "r", "variant": "counterfactual"}]
    assert [(q.group, q.variant) for q in read_questions(write(tmp_path, *rows))] == [
        ("3", "original"),
        ("3", "counterfactual"),
    ]
    with pytest.raises(InputError, match="variant is 'odd'"):
        read_questions(write(tmp_path, {**base, "variant": "odd"}))


def test_a_question_is_known_by_its_words_and_options() -> None:
    assert question_key("Where  is it?", ["a", "B"]) == question_key(" where is it?\n", ["b", "A"])
    assert question_key("Which?", ["a", "b"]) != question_key("Which?", ["a", "c"])
    assert Question("t", ("x", "y"), 0, classes=True).key == question_key("T", ())


def test_a_repeated_option_is_merged_and_the_number_of_questions_stays(tmp_path: Path) -> None:
    row = {"question": "q", "choices": ["a", "b", "a", "c"], "answer": 3}
    other = {"question": "r", "choices": ["a", "b", "c", "d"], "answer": 0}
    first, second = read_questions(write(tmp_path, row, other))
    assert (first.choices, first.answer, second.answer) == (("a", "b", "c"), 2, 0)


def test_held_out_questions_are_read_as_a_source_is(tmp_path: Path) -> None:
    path = tmp_path / "held [1].csv"
    path.write_text('question,choices,answer\nq,"[""x"",""y""]",2\nr,"[""x"",""y""]",1\n')
    assert [question.answer for question in read_questions(path)] == [1, 0]
