"""judge: scores by a rubric, and pairs judged in both orders."""

import json
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.base import Sampling
from raygen.ops.judge import OP
from raygen.testing import Script, reasons, run_op

ROW = {
    "question": "Where do fish live?",
    "choices": ["sky", "water"],
    "answer": 1,
    "rationale": "They have gills.",
    "other": "They swim.",
}
CRITERIA = {"clear": "easy to read", "right": "true"}
SCORING = {"show": ["question", "choices", "answer", "rationale"], "criteria": CRITERIA}
PAIR = {"show": ["question"], "compare": ["rationale", "other"], "rubric": "Which is better?"}


def scores(clear: Any, right: Any, reason: str = "Short and true.") -> str:
    return json.dumps({"reason": reason, "scores": {"clear": clear, "right": right}})


def better(*winners: str) -> Script:
    remaining = list(winners)

    def answers(prompt: str, sampling: Sampling) -> list[str]:
        return [json.dumps({"reason": f"No. {len(remaining)}", "better": remaining.pop(0)})]

    return Script(answers)


async def test_scores_are_columns_and_the_judge_reads_what_it_is_shown() -> None:
    (row,), context = await run_op(OP, ROW, [scores(4, 5)], **SCORING)
    assert isinstance(row, Row)
    assert {name: row.data[name] for name in row.data if name not in ROW} == {
        "judge_score": 4.5,
        "judge_scores": {"clear": 4, "right": 5},
        "judge_reason": "Short and true.",
    }
    prompt = str(context.asked[0][0])
    assert "choices: (a) sky (b) water\nanswer: (b) water\nrationale: They have gills.\n" in prompt
    assert "from 1 (worst) to 5 (best)" in prompt
    assert "- clear: easy to read\n- right: true\n" in prompt
    assert '"scores": {"clear": ..., "right": ...}}' in prompt
    (schema,) = context.schemas
    assert schema is not None
    jsonschema.validate(json.loads(scores(1, 5)), schema)


@pytest.mark.parametrize(
    "answer",
    ["", "Four out of five.", scores(4, 6), scores(4, "5"), '{"scores": {"clear": 1, "right": 1}}'],
)
async def test_an_answer_that_is_not_of_the_schema_is_rejected(answer: str) -> None:
    outcomes, _ = await run_op(OP, ROW, [answer], **SCORING)
    assert reasons(outcomes) == ["invalid_json" if answer else "empty"]


@pytest.mark.parametrize(("least", "reason"), [(4.5, None), (4.6, "low_score")])
async def test_a_low_score_can_be_rejected(least: float, reason: str | None) -> None:
    outcomes, _ = await run_op(OP, ROW, [scores(4, 5)], min_score=least, **SCORING)
    assert reasons(outcomes) == [reason]


async def test_several_samples_are_averaged_over_those_that_can_be_read() -> None:
    answers = ["?", scores(4, 5, "First."), scores(2, 5)]
    (row,), _ = await run_op(OP, ROW, answers, n=3, temperature=0.7, into="quality", **SCORING)
    assert isinstance(row, Row)
    assert row.data["quality_scores"] == {"clear": 3, "right": 5}
    assert row.data["quality_reason"] == "First."


async def test_a_rubric_alone_gives_one_score() -> None:
    answer = '{"reason": "Fine.", "scores": {"overall": 2}}'
    (row,), context = await run_op(OP, ROW, [answer], rubric="Be kind.", show=["rationale"])
    assert isinstance(row, Row)
    assert row.data["judge_score"] == 2
    assert str(context.asked[0][0]).count("Be kind.") == 1


@pytest.mark.parametrize(
    ("first", "second", "verdict", "consistent"),
    [
        ("1", "2", "a", True),
        ("2", "1", "b", True),
        ("tie", "tie", "tie", True),
        ("1", "1", "tie", False),
        ("1", "tie", "tie", False),
    ],
)
async def test_a_pair_is_judged_in_both_orders(
    first: str, second: str, verdict: str, consistent: bool
) -> None:
    (row,), context = await run_op(OP, ROW, better(first, second), **PAIR)
    assert isinstance(row, Row)
    assert (row.data["judge_verdict"], row.data["judge_consistent"]) == (verdict, consistent)
    prompt, swapped = (str(prompt) for prompt, _ in context.asked)
    assert "Candidate 1: They have gills.\n\nCandidate 2: They swim." in prompt
    assert "Candidate 1: They swim.\n\nCandidate 2: They have gills." in swapped


async def test_an_inconsistent_verdict_can_be_rejected() -> None:
    outcomes, _ = await run_op(OP, ROW, better("1", "1"), inconsistent="reject", **PAIR)
    assert reasons(outcomes) == ["inconsistent"]


async def test_a_pair_s_invalid_answer_is_rejected() -> None:
    outcomes, _ = await run_op(OP, ROW, better("1", "both"), **PAIR)
    assert reasons(outcomes) == ["invalid_json"]


def test_what_it_reads_and_provides() -> None:
    pair = OP.columns(OP.params.model_validate(PAIR), TASKS["multiple_choice"])
    assert pair.requires == {"question", "rationale", "other"}
    assert set(pair.provides) == {"judge_verdict", "judge_consistent", "judge_reason"}
    assert pair.reports == ("judge_verdict",)
    assert pair.cost.calls == 2


@pytest.mark.parametrize(
    "params",
    [
        {"show": ["rationale"]},
        {"rubric": "x"},
        {"rubric": "x", "show": ["a"], "scale": [5, 1]},
        {**PAIR, "n": 2},
        {**PAIR, "min_score": 3},
        {**PAIR, "compare": ["a"]},
    ],
)
def test_unusable_parameters_are_refused(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OP.params.model_validate(params)
