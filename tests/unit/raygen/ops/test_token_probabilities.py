"""token_probabilities: the teacher's most probable tokens, and whose they are."""

from typing import Any

import pytest

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.base import Message
from raygen.ops.sample_rationales import OP as SAMPLE
from raygen.ops.token_probabilities import OP
from raygen.testing import reasons, run_op

ROW = {
    "question": "Who barks?",
    "choices": ["dog", "cat"],
    "answer": 0,
    "rationale": " Dogs do it. ",
}
TASK = TASKS["multiple_choice"]


async def test_each_token_has_so_many_tokens_and_the_row_says_whose() -> None:
    (row,), context = await run_op(OP, ROW, top=2)
    assert isinstance(row, Row)
    assert row.data["token_probabilities"] == {
        "vocabulary": "words",
        "tokens": [0, 1, 2],
        "ids": [[0, 1], [1, 2], [2, 3]],
        "logprobs": [[-0.3333, -1.3333]] * 3,
    }
    assert row.data["token_probabilities_teacher"] == "fake"
    assert row.data["rationale"] == ROW["rationale"]
    ((_, text),) = context.scored
    assert text == (" Dogs do it.",)


@pytest.mark.parametrize(
    "params",
    [
        {},
        {"label": "shown"},
        {"chat": True},
        {"prompt": "Say why: {{ stem }}"},
        {
            "demonstrations": [
                {"question": "2+2?", "choices": ["3", "4"], "answer": 1, "rationale": "Count."}
            ]
        },
    ],
)
async def test_the_prompt_is_the_one_that_samples_rationales(params: dict[str, Any]) -> None:
    _, reading = await run_op(OP, ROW, **params)
    _, sampling = await run_op(SAMPLE, ROW, ["Because."], n=1, **params)
    ((prompt, (text,)),) = reading.scored
    assert prompt == sampling.asked[0][0]
    chat = isinstance(prompt, tuple) and isinstance(prompt[0], Message)
    assert chat == bool(params.get("chat"))
    assert text == ("Dogs do it." if chat else " Dogs do it.")


async def test_an_empty_rationale_is_rejected() -> None:
    outcomes, _ = await run_op(OP, {**ROW, "rationale": "  "})
    assert reasons(outcomes) == ["empty"]


def test_what_it_needs_and_hides() -> None:
    declared = OP.columns(OP.params(), TASK)
    assert "rationale" in declared.requires
    assert {"rationale", "answer", "predicted"} <= declared.hides
    assert declared.abilities == {"engine": {"top_tokens"}}
    shown = OP.columns(OP.params.model_validate({"label": "shown"}), TASK)
    assert shown.hides == {"rationale"}
    assert "gold" in shown.given
