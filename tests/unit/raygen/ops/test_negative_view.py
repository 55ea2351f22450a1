"""negative_view: refutations of the wrong options, joined or one by one."""

from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Row
from raygen.core.task import TASKS, Task
from raygen.engines.base import Completion, Sampling
from raygen.ops.negative_view import OP
from raygen.testing import Script, reasons, run_op

ROW = {"question": "Where do fish live?", "choices": ["sky", "water", "oven"], "answer": 1}
CLASSES = replace(TASKS["classification"], labels=("bad", "good"))
REFUTATIONS = {"sky": "The sky is for birds.", "oven": "It would be far too hot."}


def script(refutations: dict[str, str | Completion] | dict[str, str]) -> Script:
    """A fake teacher that answers by the wrong option it is asked about."""

    def answers(prompt: str, sampling: Sampling) -> list[str | Completion]:
        refuted = prompt.rsplit("Wrong answer: ", 1)[1].split("\n", 1)[0]
        return [refutations[refuted]] * sampling.n

    return Script(answers)


async def run(
    refutations: Any, data: dict[str, Any] | None = None, task: Task | None = None, **params: Any
) -> list[Any]:
    outcomes, _ = await run_op(
        OP, data or ROW, script(refutations), task or TASKS["multiple_choice"], **params
    )
    return list(outcomes)


async def test_joined_refutations_end_in_the_right_label() -> None:
    (row,) = await run(REFUTATIONS)
    assert row.data["rationale"] == "The sky is for birds. oven: It would be far too hot."
    assert (row.data["label"], row.data["refuted"]) == (1, None)
    assert (row.data["view"], row.data["variant"]) == ("negative", "original")


async def test_each_refutation_names_its_option_and_has_no_label() -> None:
    rows = await run(REFUTATIONS, emit="each")
    assert [row.data["refuted"] for row in rows] == ["sky", "oven"]
    assert [row.data["rationale"] for row in rows] == list(REFUTATIONS.values())
    assert [row.data["label"] for row in rows] == [None, None]
    assert [row.lineage for row in rows] == [(("node", 0),), (("node", 1),)]


async def test_of_two_options_the_other_is_the_label() -> None:
    data = {**ROW, "choices": ["sky", "water"], "variant": "counterfactual"}
    (row,) = await run(REFUTATIONS, data, emit="each")
    assert (row.data["label"], row.data["refuted"]) == (1, "sky")
    assert (row.data["view"], row.data["variant"]) == ("counterfactual_negative", "counterfactual")


async def test_a_classification_keeps_its_own_labels() -> None:
    data = {"text": "A joy.", "label": "good"}
    (row,) = await run({"bad": "Joy is not bad."}, data, CLASSES)
    assert (row.data["label"], row.data["rationale"]) == ("good", "Joy is not bad.")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("Birds fly there, so the answer is (a).", "argues_for_it"),
        ("Sky is the right answer.", "argues_for_it"),
        ("The correct option is the sky, as birds fly there.", "argues_for_it"),
        ("sky", "argues_for_it"),
        ("Fish get cooked. So the answer is: (c)", "other_answer"),
        ("", "empty"),
        ("So the answer is (b).", "empty"),
        (Completion("The sky is", finish_reason="length"), "truncated"),
        ("I'm sorry, but I can't help with that.", "refused"),
        ("The answer is not sky, which is for birds.", None),
        ("Sky is not the right answer, as it is for birds.", None),
        ("The sky is for birds. So the answer is (b).", None),
        ("It would be wrong: in the sky there is no water.", None),
    ],
)
async def test_a_refutation_must_not_argue_for_its_option(
    answer: str | Completion, reason: str | None
) -> None:
    outcomes = await run({**REFUTATIONS, "sky": answer}, emit="each")
    assert reasons(outcomes) == [reason, None]


async def test_the_final_answer_is_taken_out_of_a_refutation() -> None:
    refutations = {**REFUTATIONS, "sky": "The sky is for birds. So the answer is (b)."}
    (row, _) = await run(refutations, emit="each")
    assert row.data["rationale"] == "The sky is for birds."


async def test_joined_needs_every_refutation() -> None:
    (reject,) = await run({**REFUTATIONS, "oven": "So the answer is oven."})
    assert reject.reason == "argues_for_it"
    assert "'oven'" in reject.detail


async def test_the_first_usable_answer_of_several_counts() -> None:
    answers = ["So the answer is (a).", "The sky is dry.", "Birds."]
    data = {**ROW, "choices": ["sky", "water"]}
    (row,), context = await run_op(OP, data, answers, n=3)
    assert isinstance(row, Row)
    assert row.data["rationale"] == "The sky is dry."
    assert context.asked[0][1].n == 3


async def test_each_wrong_option_is_drawn_with_a_seed_of_its_own() -> None:
    _, context = await run_op(OP, ROW, script(REFUTATIONS))
    seeds = {sampling.seed for _, sampling in context.asked}
    assert len(seeds) == 2


@pytest.mark.parametrize("emit", ["joined", "each"])
async def test_thoughts_can_be_a_column(emit: str) -> None:
    refutations = {
        name: Completion(text, thinking=f"about {name}") for name, text in REFUTATIONS.items()
    }
    rows = await run(refutations, emit=emit, thinking="column")
    assert "\n\n".join(row.data["thinking"] for row in rows) == "about sky\n\nabout oven"


@pytest.mark.parametrize("task", [TASKS["free_text"], TASKS["classification"]])
def test_a_task_without_options_is_a_plan_error(task: Task) -> None:
    with pytest.raises(ValueError, match=r"free_text|labels"):
        OP.columns(OP.params.model_validate({}), task)


@pytest.mark.parametrize("emit", ["joined", "each"])
@pytest.mark.parametrize("thinking", ["drop", "column"])
async def test_what_is_emitted_is_what_is_declared(emit: str, thinking: str) -> None:
    params = {"emit": emit, "thinking": thinking}
    declared = OP.columns(OP.params.model_validate(params), TASKS["multiple_choice"])
    for row in await run(REFUTATIONS, **params):
        assert set(row.data) - set(ROW) == set(declared.provides)
