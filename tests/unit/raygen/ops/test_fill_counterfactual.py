"""fill_counterfactual: targets, checks on the fill, and the row that comes out."""

from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.base import Completion, Sampling
from raygen.ops.fill_counterfactual import OP
from raygen.testing import Script, reasons, run_op

ORIGINAL = "What might be the result if one is convicted of obstructing justice?"
FILLED = "What might be a concern for society if an innocent person is convicted of a crime?"
ROW = {
    "question": ORIGINAL,
    "choices": ["going to jail", "injustice"],
    "answer": 0,
    "masked": "What might be [MASK] if [MASK] is convicted of [MASK]?",
}
FOUR = {**ROW, "choices": ["going to jail", "injustice", "applause", "an owl"]}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))


async def test_the_example_of_the_paper_passes() -> None:
    outcomes, context = await run_op(OP, ROW, [f" {FILLED}"], n=1)
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["question"] == FILLED
    assert (row["answer"], row["target"], row["original_answer"]) == (1, 1, 0)
    assert (row["original"], row["variant"]) == (ORIGINAL, "counterfactual")
    assert row["fills"] == ["a concern for society", "an innocent person", "a crime"]
    assert str(context.asked[0][0]).endswith(
        f"Right answer: going to jail\nNew answer: injustice\n"
        f"Masked text: {ROW['masked']}\nFilled text:"
    )


@pytest.mark.parametrize(
    "answer",
    [
        FILLED.removesuffix("?"),
        FILLED.replace("What", "what"),
        f'"{FILLED}"',
        f"Filled text: {FILLED}",
        f"\n{FILLED}\nText: another",
        FILLED.replace(" ", "  "),
    ],
)
async def test_small_differences_are_no_change(answer: str) -> None:
    outcomes, _ = await run_op(OP, ROW, [answer], n=1)
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["question"].casefold() == FILLED.casefold()


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("", "empty"),
        (Completion("What might be", finish_reason="length"), "truncated"),
        ("I'm sorry, but I can't help with that request.", "refused"),
        ("What might be [MASK] if one is convicted of a crime?", "mask_left"),
        ("What might be {Mask} if one is convicted of a crime?", "mask_left"),
        ("What could be a concern if one is convicted of a crime?", "text_changed"),
        (f"{FILLED} It is unfair.", "text_changed"),
        (ORIGINAL.upper().lower(), "unchanged"),
        ("What might be an Injustice if someone is convicted of nothing?", "answer_leaked"),
    ],
)
async def test_what_cant_be_used_has_its_reason(answer: str | Completion, reason: str) -> None:
    outcomes, _ = await run_op(OP, ROW, [answer], n=1)
    assert reasons(outcomes) == [reason]


async def test_the_first_candidate_that_passes_is_taken() -> None:
    other = FILLED.replace("a crime", "theft")
    outcomes, context = await run_op(OP, ROW, ["no", ORIGINAL, FILLED, other])
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["fills"][-1] == "a crime"
    assert context.asked[0][1].n == 4


async def test_the_reason_is_that_of_the_candidate_that_came_farthest() -> None:
    leaks = FILLED.replace("a crime", "injustice")
    outcomes, _ = await run_op(OP, ROW, ["", leaks, ORIGINAL, "no"])
    assert reasons(outcomes) == ["answer_leaked"]
    outcomes, _ = await run_op(OP, ROW, ["", "no", "[MASK]", ""])
    assert reasons(outcomes) == ["text_changed"]


async def test_the_answer_may_be_named_where_that_is_allowed_or_it_was_named_before() -> None:
    leaks = FILLED.replace("a crime", "injustice")
    outcomes, _ = await run_op(OP, ROW, [leaks], n=1, allow_answer=True)
    assert reasons(outcomes) == [None]
    quarel = {
        "question": "Mike slid far on the ice and not on the gravel. Which is smoother?",
        "choices": ["ice", "gravel"],
        "answer": 0,
        "masked": "Mike slid [MASK] and not on [MASK]. Which is smoother?",
    }
    filled = "Mike slid far on the gravel and not on the ice. Which is smoother?"
    outcomes, _ = await run_op(OP, quarel, [filled], n=1)
    assert reasons(outcomes) == [None]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (" a concern for society; an innocent person; a crime", None),
        ("Fills: a concern for society ;an innocent person; a crime.", None),
        ("a concern for society; an innocent person", "wrong_count"),
        ("a concern; an innocent person; a crime; more", "wrong_count"),
        ("a concern; ; a crime", "wrong_count"),
        ("a concern; [MASK]; a crime", "mask_left"),
        ("a concern; [MASK 2]; a crime", "mask_left"),
        ("a concern; the MASK; a crime", "mask_left"),
        ("a concern; ____; a crime", "mask_left"),
        ("the result; One; obstructing justice", "unchanged"),
        ("the injustice; one; a crime", "answer_leaked"),
        ("a concern; one? Who knows if Mike; a crime", "text_changed"),
    ],
)
async def test_fills_alone_are_put_in_the_place_of_the_masks(
    answer: str, reason: str | None
) -> None:
    outcomes, context = await run_op(OP, ROW, [answer], n=1, form="fills")
    assert reasons(outcomes) == [reason]
    assert [o.data["question"] for o in outcomes if isinstance(o, Row)] in ([], [FILLED])
    assert "Fills: the result; one; obstructing justice\nNew answer: injustice" in str(
        context.asked[0][0]
    )


async def test_a_fill_that_begins_the_text_gets_its_capital() -> None:
    data = {"text": "The soup was cold.", "label": "bad", "masked": "[MASK] was [MASK]."}
    outcomes, _ = await run_op(OP, data, ["my soup; hot"], CLASSES, n=1, form="fills")
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["text"] == "My soup was hot."


async def test_each_wrong_option_is_a_target() -> None:
    def answers(prompt: str, _: Sampling) -> list[str]:
        return ["no" if "New answer: applause" in prompt else FILLED]

    outcomes, _ = await run_op(OP, FOUR, Script(answers), n=1, target="each")
    assert reasons(outcomes) == [None, "text_changed", None]
    rows = [outcome for outcome in outcomes if isinstance(outcome, Row)]
    assert [row.data["target"] for row in rows] == [1, 3]
    assert [row.lineage for row in rows] == [(("node", 0),), (("node", 2),)]


async def test_a_random_target_is_the_same_in_every_run_and_not_the_same_on_every_row() -> None:
    async def target(key: str) -> int:
        outcomes, _ = await run_op(OP, [Row(key, FOUR)], [FILLED], n=1)
        (row,) = outcomes
        assert isinstance(row, Row)
        return int(row.data["target"])

    first = [await target(f"row {i}") for i in range(20)]
    assert first == [await target(f"row {i}") for i in range(20)]
    assert set(first) == {1, 2, 3}


async def test_the_hardest_target_is_the_wrong_option_that_the_teacher_holds_most_probable() -> (
    None
):
    script = Script([FILLED], scores=lambda _, options: [-0.1, -3.0, -0.2, -9.0])
    outcomes, context = await run_op(OP, FOUR, script, n=1, target="hardest")
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["target"] == 2
    (prompt, candidates) = context.scored[0]
    assert ORIGINAL in str(prompt)
    assert candidates == (" (a)", " (b)", " (c)", " (d)")


async def test_a_classification_moves_to_another_label() -> None:
    data = {"text": "A dull plot.", "label": "bad", "masked": "A [MASK] plot."}
    outcomes, _ = await run_op(OP, data, ["An exciting plot."], CLASSES, n=1)
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert (row["text"], row["label"]) == ("An exciting plot.", "good")
    assert (row["target"], row["original_answer"]) == (1, 0)
    assert row["fills"] == ["exciting"]


@pytest.mark.parametrize(
    ("task", "params", "message"),
    [
        (TASKS["free_text"], {}, "free_text"),
        (TASKS["classification"], {}, "labels"),
        (CLASSES, {"target": "hardest", "score_prompt": "{{ stem }} {{ label }}"}, "label"),
        (CLASSES, {"target": "hardest", "score_prompt": "{{ target }}"}, "target"),
    ],
)
def test_what_cant_work_is_a_plan_error(task: Any, params: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        OP.columns(OP.params.model_validate(params), task)


def test_a_prompt_for_scores_is_for_the_hardest_target() -> None:
    with pytest.raises(ValidationError, match="target: hardest"):
        OP.params.model_validate({"score_prompt": "{{ stem }}"})


def test_the_hardest_target_needs_scores() -> None:
    def abilities(target: str) -> frozenset[str]:
        params = OP.params.model_validate({"target": target})
        return frozenset(OP.columns(params, CLASSES).abilities["engine"])

    assert "score" in abilities("hardest")
    assert "score" not in abilities("random")


async def test_what_is_emitted_is_what_is_declared() -> None:
    outcomes, _ = await run_op(OP, ROW, [FILLED], n=1)
    declared = OP.columns(OP.params.model_validate({}), TASKS["multiple_choice"])
    (row,) = (outcome for outcome in outcomes if isinstance(outcome, Row))
    assert set(row.data) - set(ROW) == set(declared.provides) - {"question", "answer"}
    assert declared.reports == ("target",)
