"""sample_rationales: what the teacher sees, what is read, what is picked and what is rejected."""

import json
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS, Task
from raygen.engines.base import Completion, Message
from raygen.ops.base import Columns
from raygen.ops.sample_rationales import OP
from raygen.testing import reasons, run_op

ROW = {"question": "Where do fish live?", "choices": ["sky", "water"], "answer": 1}
DEMO = {"question": "Who barks?", "choices": ["dog", "cat"], "answer": "a", "rationale": "It does."}
SENTIMENT = replace(TASKS["classification"], labels=("negative", "positive"))
REVIEW = {"text": "I loved it.", "label": "positive"}
FREE = TASKS["free_text"]
SUM = {"question": "What is 3 + 4?", "answer": "7"}


def rows_of(outcomes: list[Row | Reject]) -> list[dict[str, Any]]:
    return [dict(each.data) for each in outcomes if isinstance(each, Row)]


def declared(task: Task = TASKS["multiple_choice"], **params: Any) -> Columns:
    return OP.columns(OP.params.model_validate(params), task)


async def test_a_hidden_label_is_what_the_sample_itself_reached() -> None:
    answers = [
        Completion("They swim. So the answer is: (b)", logprob=-3.5, output_tokens=7),
        "Birds fly. So the answer is: (a)",
    ]
    outcomes, context = await run_op(OP, ROW, answers, n=2)
    right, wrong = rows_of(outcomes)
    assert right["rationale"] == "They swim."
    assert (right["predicted"], right["label"], right["confidence"]) == (1, 1, 0.95)
    assert (right["logprob"], right["logprob_per_token"]) == (-3.5, -0.5)
    assert (wrong["predicted"], wrong["label"], wrong["sample"]) == (0, 0, 1)
    assert (right["view"], right["variant"]) == ("positive", "original")
    (prompt, sampling) = context.asked[0]
    assert prompt == "Q: Where do fish live?\nOptions: (a) sky (b) water\nA:"
    assert sampling.n == 2


async def test_a_shown_label_is_explained() -> None:
    outcomes, context = await run_op(OP, ROW, ["Fish need water."], n=1, label="shown")
    (row,) = rows_of(outcomes)
    assert (row["rationale"], row["label"], row["predicted"]) == ("Fish need water.", 1, None)
    assert row["names_answer"] is True
    assert not {"agreement", "confidence", "distinct_answers"} & row.keys()
    assert str(context.asked[0][0]).endswith("A: The answer is (b) water because:")


async def test_what_explains_another_answer_than_the_shown_one_is_rejected() -> None:
    answers = [
        "It is high up. So the answer is (a).",
        "Wet. So the answer is (b).",
        "No sky there.",
    ]
    outcomes, _ = await run_op(OP, ROW, answers, n=3, label="shown")
    assert reasons(outcomes) == ["wrong_answer", None, None]
    assert [row["rationale"] for row in rows_of(outcomes)] == ["Wet.", "No sky there."]


async def test_what_cant_be_used_is_rejected_with_its_own_reason() -> None:
    answers = [
        "",
        "I wonder.",
        Completion("Fish are animals that", finish_reason="length"),
        "So the answer is: (b)",
        "Birds fly. So the answer is: (a)",
        "I'm sorry, but I can't help with that.",
        Completion("They swim. So the answer is: (b) and", finish_reason="length"),
        "They swim. So the answer is: (b)",
    ]
    outcomes, _ = await run_op(OP, ROW, answers, n=8, keep="correct")
    assert reasons(outcomes) == [
        "empty",
        "no_answer",
        "truncated",
        "empty",
        "wrong_answer",
        "refused",
        None,
        None,
    ]


async def test_agreement_is_a_share_of_all_samples() -> None:
    answers = ["x. The answer is (b)", "The answer is (b)", "z. The answer is (a)", "who knows"]
    outcomes, _ = await run_op(OP, ROW, answers, n=4)
    rows = rows_of(outcomes)
    assert reasons(outcomes) == [None, "empty", None, "no_answer"]
    assert [row["agreement"] for row in rows] == [0.5, 0.25]
    assert {row["distinct_answers"] for row in rows} == {2}


async def test_diversity_is_the_mean_distance_of_the_rationales() -> None:
    same = ["They swim about. The answer is (b)"] * 2
    (one, _), _ = await run_op(OP, ROW, same, n=2)
    (two, _), _ = await run_op(OP, ROW, [same[0], "Gills. The answer is (b)"], n=2)
    (alone,), _ = await run_op(OP, ROW, same[:1], n=1)
    figures = [each.data["diversity"] for each in (one, two, alone) if isinstance(each, Row)]
    assert figures == [0.0, 1.0, None]


SAMPLES = [
    Completion("Fish have gills to breathe. The answer is (b)", logprob=-9.0, output_tokens=10),
    Completion("Fish have gills to breathe! The answer is (b)", logprob=-8.0, output_tokens=10),
    Completion("Fish have gills to breath. The answer is (b)", logprob=-2.0, output_tokens=10),
    Completion("Nets are cast at sea. The answer is (b)", logprob=-5.0, output_tokens=10),
    Completion("Clouds. The answer is (a)", logprob=-1.0, output_tokens=10),
]


@pytest.mark.parametrize(
    ("pick", "expected"),
    [
        ({"near": 0.8}, [None, "duplicate", "duplicate", None, None]),
        ({"at_most": 2}, [None, None, "not_picked", "not_picked", "not_picked"]),
        (
            {"by": "diverse", "at_most": 2},
            [None, "not_picked", "not_picked", None, "not_picked"],
        ),
        (
            {"by": "likely", "at_most": 2},
            ["not_picked", "not_picked", None, "not_picked", None],
        ),
        (
            {"by": "likely", "at_most": 2, "near": 0.8},
            ["not_picked", "duplicate", "duplicate", None, None],
        ),
    ],
)
async def test_which_samples_stay(pick: dict[str, Any], expected: list[str | None]) -> None:
    outcomes, _ = await run_op(OP, ROW, SAMPLES, n=5, pick=pick)
    assert reasons(outcomes) == expected


async def test_what_is_not_correct_is_not_picked_from() -> None:
    pick = {"by": "likely", "at_most": 1}
    outcomes, _ = await run_op(OP, ROW, SAMPLES, n=5, keep="correct", pick=pick)
    assert [row["sample"] for row in rows_of(outcomes)] == [2]
    assert reasons(outcomes)[4] == "wrong_answer"


async def test_a_random_pick_is_the_same_each_time() -> None:
    pick = {"by": "random", "at_most": 3}
    one, _ = await run_op(OP, ROW, SAMPLES, n=5, pick=pick)
    other, _ = await run_op(OP, ROW, SAMPLES, n=5, pick=pick)
    assert reasons(one) == reasons(other)
    assert reasons(one).count("not_picked") == 2


async def test_the_likely_are_not_picked_from_samples_without_a_likelihood() -> None:
    outcomes, _ = await run_op(
        OP, ROW, ["Wet. The answer is (b)"], n=1, pick={"by": "likely", "at_most": 1}
    )
    assert reasons(outcomes) == ["no_logprob"]


@pytest.mark.parametrize("pick", [{}, {"by": "diverse"}, {"by": "diverse", "near": 0.9}])
def test_a_pick_that_picks_nothing_is_refused(pick: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        OP.params.model_validate({"pick": pick})


def test_a_shown_label_cant_be_reached_wrongly() -> None:
    with pytest.raises(ValidationError, match="keep: correct needs label: hidden"):
        OP.params.model_validate({"label": "shown", "keep": "correct"})


async def test_thoughts_can_be_the_rationale() -> None:
    answers = [
        Completion("(b)", thinking="They swim. So the answer is (b)."),
        Completion("(b)"),
        Completion("Wet. The answer is (b)", thinking="They have gills."),
    ]
    outcomes, _ = await run_op(OP, ROW, answers, n=3, rationale_from="thinking")
    assert reasons(outcomes) == [None, "no_thinking", None]
    assert [r["rationale"] for r in rows_of(outcomes)] == ["They swim.", "They have gills."]
    plain, _ = await run_op(OP, ROW, answers[:1], n=1)
    assert reasons(plain) == ["empty"]


async def test_thoughts_can_be_a_column_of_their_own() -> None:
    answer = Completion("Wet. The answer is (b)", thinking="Hm.")
    outcomes, _ = await run_op(OP, ROW, [answer], n=1, thinking="column")
    assert rows_of(outcomes)[0]["thinking"] == "Hm."


async def test_demonstrations_come_before_the_question() -> None:
    _, context = await run_op(OP, ROW, ["x"], n=1, demonstrations=[DEMO])
    assert str(context.asked[0][0]).startswith(
        "Q: Who barks?\nOptions: (a) dog (b) cat\nA: It does. So the answer is: (a)\n\nQ: Where"
    )


async def test_demonstrations_of_a_shown_answer() -> None:
    _, context = await run_op(OP, ROW, ["x"], n=1, demonstrations=[DEMO], label="shown")
    assert str(context.asked[0][0]).startswith(
        "Q: Who barks?\nOptions: (a) dog (b) cat\nA: The answer is (a) dog because: It does.\n"
    )


def test_demonstrations_can_come_as_jsonl_text() -> None:
    params = OP.params.model_validate({"demonstrations": json.dumps(DEMO) + "\n"})
    worked = params.rendered_demonstrations(TASKS["multiple_choice"])  # type: ignore[attr-defined]
    assert (worked[0]["answer"], worked[0]["gold_text"]) == (0, "dog")


def test_a_demonstration_whose_answer_is_no_choice_is_refused() -> None:
    with pytest.raises(ValidationError, match="outside the choices"):
        OP.params.model_validate({"demonstrations": [{**DEMO, "answer": "cow"}]})


@pytest.mark.parametrize(
    ("task", "demonstration", "message"),
    [
        (SENTIMENT, DEMO, "which task classification doesn't know"),
        (SENTIMENT, {"text": "Bah.", "label": "angry", "rationale": "x"}, "outside the labels"),
        (FREE, {"question": "1 + 1?", "rationale": "x"}, "has no answer"),
        (TASKS["classification"], None, "name them in the recipe's `labels:`"),
    ],
)
def test_what_a_plan_refuses(task: Task, demonstration: Any, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        declared(task, demonstrations=[demonstration] if demonstration else [])


async def test_a_chat_prompt_is_one_turn_of_the_user() -> None:
    _, context = await run_op(OP, ROW, ["x"], n=1, chat=True)
    assert isinstance(context.asked[0][0], tuple)
    assert isinstance(context.asked[0][0][0], Message)


def test_a_hidden_label_is_hidden_from_templates() -> None:
    assert {"answer", "label", "target", "rationale", "original"} <= declared(label="hidden").hides
    assert declared(label="shown").hides == frozenset()


async def test_nothing_hidden_reaches_the_prompt() -> None:
    prompt = "{{ answer | default('-') }} {{ gold | default('-') }} {{ rationale | default('-') }}"
    _, context = await run_op(OP, {**ROW, "rationale": "wet"}, ["x"], n=1, prompt=prompt)
    assert context.asked[0][0] == "- - -"


async def test_a_classification_is_labelled_by_its_classes() -> None:
    answers = ["It is warm. The answer is (b)", "It is bleak. The answer is negative."]
    outcomes, context = await run_op(OP, REVIEW, answers, task=SENTIMENT, n=2)
    rows = rows_of(outcomes)
    assert [row["label"] for row in rows] == ["positive", "negative"]
    assert "Q: I loved it.\nOptions: (a) negative (b) positive\nA:" in str(context.asked[0][0])
    kept, _ = await run_op(OP, REVIEW, answers, task=SENTIMENT, n=2, keep="correct")
    assert reasons(kept) == [None, "wrong_answer"]


async def test_a_classification_can_be_explained() -> None:
    demo = {"text": "Bah.", "label": "negative", "rationale": "That is no praise."}
    _, context = await run_op(
        OP, REVIEW, ["x"], task=SENTIMENT, n=1, label="shown", demonstrations=[demo]
    )
    prompt = str(context.asked[0][0])
    assert "A: The answer is (a) negative because: That is no praise." in prompt
    assert prompt.endswith("A: The answer is (b) positive because:")


async def test_free_answers_are_compared_as_answers() -> None:
    answers = ["3 and 4 make 7. The answer is 7.0", "The sum is less. The answer is 6"]
    outcomes, context = await run_op(OP, SUM, answers, task=FREE, n=2, keep="correct")
    assert reasons(outcomes) == [None, "wrong_answer"]
    (row,) = rows_of(outcomes)
    assert (row["rationale"], row["label"]) == ("3 and 4 make 7.", "7.0")
    assert context.asked[0][0] == "Q: What is 3 + 4?\nA:"


async def test_a_free_answer_can_be_explained() -> None:
    demo = {"question": "1 + 1?", "answer": 2, "rationale": "One and one."}
    outcomes, context = await run_op(
        OP, SUM, ["3 and 4 make 7."], task=FREE, n=1, label="shown", demonstrations=[demo]
    )
    assert (rows_of(outcomes)[0]["label"], rows_of(outcomes)[0]["predicted"]) == ("7", None)
    assert str(context.asked[0][0]) == (
        "Q: 1 + 1?\nA: The answer is 2 because: One and one.\n\n"
        "Q: What is 3 + 4?\nA: The answer is 7 because:"
    )


async def test_a_counterfactual_row_gives_a_counterfactual_view() -> None:
    data = {**ROW, "variant": "counterfactual"}
    outcomes, _ = await run_op(OP, data, ["Wet. The answer is (b)"], n=1)
    assert rows_of(outcomes)[0]["view"] == "counterfactual_positive"


@pytest.mark.parametrize(
    ("task", "data", "answer"),
    [
        (TASKS["multiple_choice"], ROW, "They swim. So the answer is: (b)"),
        (SENTIMENT, REVIEW, "It is warm. So the answer is: positive"),
        (FREE, SUM, "3 and 4 make 7. So the answer is: 7"),
    ],
)
@pytest.mark.parametrize("label", ["hidden", "shown"])
async def test_what_is_emitted_is_what_is_declared(
    task: Task, data: dict[str, Any], answer: str, label: str
) -> None:
    params: dict[str, Any] = {"n": 1, "thinking": "column", "label": label}
    outcomes, _ = await run_op(OP, data, [answer], task=task, **params)
    provides = declared(task, **params).provides
    (row,) = rows_of(outcomes)
    assert set(row) - set(data) == set(provides) - set(data)
    types = {
        "string": str, "integer": int, "number": float, "boolean": bool, "strings": list,
    }  # fmt: skip
    for name, type_ in provides.items():
        assert row[name] is None or isinstance(row[name], types[type_])


def test_what_it_costs() -> None:
    cost = declared(n=30, pick={"at_most": 5}).cost
    assert (cost.calls, cost.completions, cost.rows) == (1.0, 30, 5.0)


@pytest.mark.parametrize("finish", ["length", "error", "abort"])
@pytest.mark.parametrize(
    ("text", "truncated", "kept"),
    [
        ("They swim. The answer is (b). And", "reject", True),
        ("They swim. It can only be (b), as", "reject", False),
        ("They swim. The answer is w", "reject", False),
        ("They swim. It can only be (b), as", "keep", True),
    ],
)
async def test_an_answer_that_was_cut_off_counts_if_announced_before(
    text: str, truncated: str, kept: bool, finish: str
) -> None:
    answers = [Completion(text, finish_reason=finish)]
    outcomes, _ = await run_op(OP, ROW, answers, n=1, truncated=truncated)
    assert reasons(outcomes) == [None if kept else "truncated"]


async def test_what_a_filter_ended_is_refused_unless_announced_before() -> None:
    texts = ["They swim. The answer is (b). And", "They swim. It can only be (b), as"]
    answers = [Completion(text, finish_reason="content_filter") for text in texts]
    outcomes, _ = await run_op(OP, ROW, answers, n=2, truncated="keep")
    assert reasons(outcomes) == [None, "refused"]


async def test_the_full_completion_is_kept_with_the_rationale() -> None:
    text = "They swim. The answer is (b).\nQuestion: Who flies?\nAnswer: The answer is (a)."
    outcomes, _ = await run_op(OP, ROW, [text], n=1)
    (row,) = rows_of(outcomes)
    assert (row["rationale"], row["label"], row["said"]) == ("They swim.", 1, text)


def test_the_default_of_truncated_is_in_no_plan() -> None:
    written = OP.params.model_validate({}).model_dump(mode="json", by_alias=True)
    assert "truncated" not in written
    kept = OP.params.model_validate({"truncated": "keep"})
    assert kept.model_dump(mode="json", by_alias=True)["truncated"] == "keep"


@pytest.mark.parametrize(
    "gold", ["6 * 7 = <<6*7=42>>42 eggs.\n#### 42", "So it is $\\boxed{42}$.", "42 eggs", "42"]
)
async def test_a_gold_answer_is_read_as_an_answer_is(gold: str) -> None:
    row = {"question": "6 * 7?", "answer": gold}
    answers = ["Six times seven. The answer is 42.", "Six and seven. The answer is 13."]
    outcomes, _ = await run_op(OP, row, answers, task=TASKS["free_text"], n=2, keep="correct")
    assert reasons(outcomes) == [None, "wrong_answer"]


FREE_ROW = {"question": "How many?", "answer": "6*7=<<6*7=42>>42 eggs.\n#### 42"}


async def test_a_worked_solution_and_other_notations_count_as_right() -> None:
    answers = [
        "Six times seven. The answer is 42.",
        r"It is $\boxed{42 \text{ eggs}}$.",
        "Six times seven. The answer is 84/2.",
        "Signs are hard. The answer is −42.",
        r"It is $\boxed{42\pi}$.",
    ]
    outcomes, _ = await run_op(OP, FREE_ROW, answers, FREE, n=5, keep="correct", how="math")
    assert reasons(outcomes)[:4] == [None, None, None, "wrong_answer"]


async def test_equal_free_answers_are_one_class_that_shows_its_forms() -> None:
    answers = ["So. The answer is 0.5.", "So. The answer is 1/2.", "So. The answer is -0.5."]
    outcomes, _ = await run_op(OP, FREE_ROW, answers, FREE, n=3)
    rows = [outcome.data for outcome in outcomes if isinstance(outcome, Row)]
    assert [row["agreement"] for row in rows] == [2 / 3, 2 / 3, 1 / 3]
    assert [row["same_answers"] for row in rows] == [["0.5", "1/2"], ["0.5", "1/2"], ["-0.5"]]
    assert {row["distinct_answers"] for row in rows} == {2}


async def test_another_checker_that_disagrees_is_recorded_or_named() -> None:
    row = {"question": "How many?", "answer": "7"}
    answers = ["So. The answer is 7.", "So. The answer is 7.0.", "So. The answer is 8."]
    kept, _ = await run_op(OP, row, answers, FREE, n=3, keep="correct", how=["number", "exact"])
    assert reasons(kept) == [None, None, "wrong_answer"]
    assert [o.data["correct_differs"] for o in kept if isinstance(o, Row)] == [False, True]
    strict, _ = await run_op(OP, row, answers, FREE, n=3, keep="correct", how=["exact", "number"])
    assert reasons(strict) == [None, "disputed", "wrong_answer"]


def test_a_checker_that_cannot_compare_samples_names_the_op_that_asks_it() -> None:
    with pytest.raises(ValidationError, match="op: check, how: model, judge: ENGINE, keep"):
        OP.params.model_validate({"how": ["math", "model"], "keep": "correct"})


def test_the_checker_is_for_free_text_and_leaves_other_plans_their_hash() -> None:
    params = OP.params.model_validate({"how": "exact"})
    with pytest.raises(ValueError, match="how is for free text"):
        OP.columns(params, TASKS["multiple_choice"])
    assert "how" in params.model_dump()
    assert "how" not in OP.params().model_dump()
    assert OP.columns(OP.params(), TASKS["multiple_choice"]).environment == {}
    assert OP.columns(OP.params(), FREE).environment.keys() == {"math-verify"}
