"""self_consistency: the vote, what counts in it, and what the paths may not see."""

from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.base import Completion, Sampling
from raygen.ops.self_consistency import OP
from raygen.testing import Script, reasons, run_op

ROW = {
    "question": "Where do fish live?",
    "choices": ["sky", "water", "oven"],
    "answer": 1,
    "target": 1,
    "original": "Where do birds fly?",
    "original_answer": 0,
    "rationale": "SECRET",
}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


def say(letters: str) -> list[str]:
    return ["" if letter == "-" else f"So the answer is: ({letter})" for letter in letters]


async def vote(letters: str, **params: Any) -> Any:
    (outcome,), context = await run_op(OP, ROW, say(letters), samples=len(letters), **params)
    assert context.asked[0][1].n == len(letters)
    return outcome


async def test_enough_paths_that_reach_the_target_keep_the_row() -> None:
    row = await vote("bbbac")
    assert row.data["agreement"] == 0.6
    assert row.data["votes"] == {"counts": {"sky": 1, "water": 3, "oven": 1}, "unread": 0}
    assert row.data["unread"] == 0
    assert row.data["question"] == ROW["question"]


@pytest.mark.parametrize(
    ("letters", "reason"),
    [
        ("bbbbb", None),
        ("bbb--", None),
        ("bb---", "low_agreement"),
        ("bbaa-", "tie"),
        ("baaab", "other_answer"),
        ("b-aa-", "other_answer"),
        ("-----", "unreadable"),
        ("abc", "tie"),
    ],
)
async def test_the_threshold_is_a_share_of_all_paths(letters: str, reason: str | None) -> None:
    assert reasons([await vote(letters)]) == [reason]


async def test_the_unread_are_counted() -> None:
    row = await vote("bbb-a", threshold=0.5)
    assert (row.data["agreement"], row.data["unread"]) == (0.6, 1)


async def test_a_path_that_names_options_without_announcing_one_is_no_vote() -> None:
    answers = ["Water it might be, as fish swim.", *say("bb")]
    (strict,), _ = await run_op(OP, ROW, answers, samples=3, threshold=0.5)
    assert isinstance(strict, Row)
    assert strict.data["unread"] == 1
    (lax,), _ = await run_op(OP, ROW, answers, samples=3, threshold=0.5, min_confidence=0)
    assert isinstance(lax, Row)
    assert lax.data["unread"] == 0


async def test_a_path_that_was_cut_off_counts_where_it_had_announced_its_answer() -> None:
    announced = Completion("So the answer is: (b). Because fish", finish_reason="length")
    unannounced = Completion("Fish need (b) and", finish_reason="length")
    (row,), _ = await run_op(
        OP, ROW, [announced, unannounced], samples=2, threshold=0.5, min_confidence=0
    )
    assert isinstance(row, Row)
    assert (row.data["agreement"], row.data["unread"]) == (0.5, 1)


async def test_a_row_that_is_no_counterfactual_is_held_to_its_gold_answer() -> None:
    data = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 0}
    (outcome,), _ = await run_op(OP, data, say("bbb"), samples=3)
    assert reasons([outcome]) == ["other_answer"]


async def test_a_label_is_voted_on_too() -> None:
    data = {"text": "A joy.", "label": "good"}
    answers = ["So the answer is: good", "So the answer is: (b)", "bad"]
    (row,), context = await run_op(OP, data, answers, CLASSES, samples=3)
    assert isinstance(row, Row)
    assert row.data["votes"]["counts"] == {"bad": 1, "good": 2}
    assert "Q: A joy.\nOptions: (a) bad (b) good\nA:" in str(context.asked[0][0])


async def test_the_paths_see_nothing_that_tells_the_answer() -> None:
    _, context = await run_op(OP, ROW, say("b"), samples=1)
    assert "SECRET" not in str(context.asked[0][0])
    declared = OP.columns(OP.params.model_validate({}), TASKS["multiple_choice"])
    secret = {"answer", "label", "target", "rationale", "original", "original_answer", "fills"}
    assert secret <= declared.hides
    assert not declared.hides & declared.given


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        (TASKS["multiple_choice"], {"how": "math"}, "how is for free text"),
        (TASKS["classification"], {}, "labels"),
        (CLASSES, {"thinking": "column"}, "thinking"),
    ],
)
def test_what_cant_work_is_a_plan_error(task: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OP.columns(OP.params.model_validate(params), task)


async def test_what_is_emitted_is_what_is_declared() -> None:
    row = await vote("b")
    declared = OP.columns(OP.params.model_validate({}), TASKS["multiple_choice"])
    assert set(row.data) - set(ROW) == set(declared.provides)


async def test_paths_that_were_cut_off_may_count_as_they_stand() -> None:
    answers = [Completion("Fish need (b) and", finish_reason="length")]
    (row,), _ = await run_op(OP, ROW, answers, samples=1, min_confidence=0.5, truncated="keep")
    assert isinstance(row, Row)
    (reject,), _ = await run_op(OP, ROW, answers, samples=1, min_confidence=0.5)
    assert reasons([reject]) == ["unreadable"]


FREE = TASKS["free_text"]
SUM = {"question": "What is half of one?", "answer": "It is halved.\n#### 1/2"}


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (["0.5", r"\frac12", "½", "2", "-"], None),
        (["0.5", "2", "-", "-", "-"], "tie"),
        (["0.5", "1/2", "-", "-", "-"], "low_agreement"),
        (["2", "2.0", "0.5", "-", "-"], "other_answer"),
        (["2", "-", "-", "-", "-"], "other_answer"),
        (["-0.5", "−1/2", "-.5", "0.5", "1/2"], "other_answer"),
        (["-"] * 5, "unreadable"),
    ],
)
async def test_equal_free_answers_are_one_vote(said: list[str], reason: str | None) -> None:
    answers = ["" if each == "-" else f"So the answer is: {each}" for each in said]
    outcomes, _ = await run_op(OP, SUM, answers, FREE, samples=5)
    assert reasons(outcomes) == [reason]


async def test_a_class_of_free_answers_shows_its_members() -> None:
    answers = [f"So the answer is: {each}" for each in ("0.5", r"\frac12", "0.5", "2")]
    (row,), context = await run_op(OP, SUM, answers, FREE, samples=4)
    assert isinstance(row, Row)
    assert row.data["agreement"] == 0.75
    assert row.data["votes"] == {
        "counts": {"0.5": 3, "2": 1},
        "unread": 0,
        "forms": {"0.5": ["0.5", r"\frac12"], "2": ["2"]},
    }
    prompt = str(context.asked[0][0])
    assert prompt.endswith("Q: What is half of one?\nA:")
    assert "1/2" not in prompt
    declared = OP.columns(OP.params.model_validate({}), FREE)
    assert declared.requires == {"question", "answer"}
    assert "answer" in declared.hides


COUNTERFACTUAL = {
    "question": "What falls in winter?",
    "choices": ["sand", "snow"],
    "answer": 1,
    "original": "What lies in a desert?",
    "original_answer": 0,
}


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [("(a)", "(b)", None), ("(b)", "(b)", "teacher_disagrees"), ("(a)", "(a)", "other_answer")],
)
async def test_the_teacher_reaches_the_old_answer_on_the_old_text(
    old: str, new: str, reason: str | None
) -> None:
    def answers(prompt: str, sampling: Sampling) -> list[str]:
        return [f"So the answer is: {old if 'desert' in prompt else new}"] * sampling.n

    script = Script(answers)
    outcomes, context = await run_op(OP, COUNTERFACTUAL, script, original="required")
    assert reasons(outcomes) == [reason]
    # The old text is asked like the new one, and neither says what the other is.
    first = str(context.asked[0][0])
    assert "What lies in a desert?" in first
    assert "in winter" not in first
    outcomes, context = await run_op(OP, COUNTERFACTUAL, script)
    assert len(context.asked) == 1


async def test_a_row_without_an_old_text_is_asked_once() -> None:
    plain = {k: v for k, v in COUNTERFACTUAL.items() if not k.startswith("original")}
    outcomes, context = await run_op(OP, plain, ["So the answer is: (b)"], original="required")
    assert reasons(outcomes) == [None]
    assert len(context.asked) == 1
