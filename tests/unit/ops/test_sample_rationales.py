"""sample_rationales: what the teacher sees, what is read, and what is rejected."""

from typing import Any

import pytest
from pydantic import ValidationError

from raygen.engines.base import Completion, Message
from raygen.ops.sample_rationales import OP
from raygen.row import Row
from raygen.task import TASKS
from tests.unit.ops.context import reasons, run_op

ROW = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}
DEMO = {"question": "Who barks?", "choices": ["dog", "cat"], "answer": "a", "rationale": "It does."}


async def test_a_hidden_label_is_what_the_sample_itself_reached() -> None:
    answers = [
        Completion("They swim. So the answer is: (b)", logprob=-3.5),
        "Birds fly. So the answer is: (a)",
    ]
    outcomes, context = await run_op(OP, ROW, answers, n=2)
    right, wrong = (row.data for row in outcomes if isinstance(row, Row))
    assert right["rationale"] == "They swim."
    assert (right["predicted"], right["label"], right["logprob"]) == (1, 1, -3.5)
    assert (wrong["predicted"], wrong["label"], wrong["sample"]) == (0, 0, 1)
    assert (right["view"], right["variant"]) == ("positive", "original")
    (prompt, sampling) = context.asked[0]
    assert prompt == "Q: Where do fish live?\nOptions: (a) sky (b) water\nA:"
    assert sampling.n == 2


async def test_a_shown_label_is_explained() -> None:
    outcomes, context = await run_op(OP, ROW, ["Fish need water."], n=1, label="shown")
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert (row["rationale"], row["label"], row["predicted"]) == ("Fish need water.", 1, None)
    assert row["names_answer"] is True
    assert str(context.asked[0][0]).endswith("A: The answer is (b) water because:")


async def test_what_cant_be_used_is_rejected_with_its_own_reason() -> None:
    answers = [
        "",
        "I wonder.",
        Completion("Fish are animals that", finish_reason="length"),
        "So the answer is: (b)",
        "Birds fly. So the answer is: (a)",
        "They swim. So the answer is: (b)",
    ]
    outcomes, _ = await run_op(OP, ROW, answers, n=6, keep="correct")
    assert reasons(outcomes) == ["empty", "no_answer", "truncated", "empty", "wrong_answer", None]


async def test_demonstrations_come_before_the_question() -> None:
    _, context = await run_op(OP, ROW, ["x"], n=1, demonstrations=[DEMO])
    assert str(context.asked[0][0]).startswith(
        "Q: Who barks?\nOptions: (a) dog (b) cat\nA: It does. So the answer is: (a)\n\nQ: Where"
    )


def test_demonstrations_can_come_as_jsonl_text() -> None:
    import json

    params = OP.params.model_validate({"demonstrations": json.dumps(DEMO) + "\n"})
    assert params.worked[0]["answer"] == 0  # type: ignore[attr-defined]


def test_a_demonstration_whose_answer_is_no_choice_is_refused() -> None:
    with pytest.raises(ValidationError, match="outside the choices"):
        OP.params.model_validate({"demonstrations": [{**DEMO, "answer": "cow"}]})


async def test_a_chat_prompt_is_one_turn_of_the_user() -> None:
    _, context = await run_op(OP, ROW, ["x"], n=1, chat=True)
    assert isinstance(context.asked[0][0], tuple)
    assert isinstance(context.asked[0][0][0], Message)


@pytest.mark.parametrize(("label", "hides"), [("hidden", {"answer"}), ("shown", set())])
def test_a_hidden_label_is_hidden_from_templates(label: str, hides: set[str]) -> None:
    declared = OP.columns(OP.params.model_validate({"label": label}), TASKS["multiple_choice"])
    assert declared.hides == hides


async def test_what_is_emitted_is_what_is_declared() -> None:
    params: dict[str, Any] = {"n": 1}
    outcomes, _ = await run_op(OP, ROW, ["They swim. So the answer is: (b)"], **params)
    declared = OP.columns(OP.params.model_validate(params), TASKS["multiple_choice"])
    (row,) = (outcome for outcome in outcomes if isinstance(outcome, Row))
    assert set(row.data) - set(ROW) == set(declared.provides)
