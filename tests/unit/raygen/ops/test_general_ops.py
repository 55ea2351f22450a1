"""generate, filter, map and explode."""

from typing import Any

import pytest
from pydantic import ValidationError

from raygen.core.row import Row
from raygen.core.task import TASKS
from raygen.core.template import TemplateError
from raygen.engines.base import Completion, Message
from raygen.ops import explode, filter, generate, map  # noqa: A004
from raygen.testing import reasons, run_op

ASK = {"prompt": "Say {{ word }}.", "into": "said"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}


def data(outcome: Any) -> dict[str, Any]:
    assert isinstance(outcome, Row)
    return dict(outcome.data)


async def test_generate_fills_a_column() -> None:
    (row,), context = await run_op(generate.OP, {"word": "hi"}, [" hi \n"], **ASK)
    assert data(row) == {"word": "hi", "said": "hi"}
    assert context.asked[0][0] == "Say hi."


async def test_generate_numbers_several_samples() -> None:
    rows, _ = await run_op(generate.OP, {"word": "hi"}, ["a", "b"], n=2, **ASK)
    assert [(data(row)["said"], data(row)["sample"]) for row in rows] == [("a", 0), ("b", 1)]


async def test_generate_with_a_chat() -> None:
    turns = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "{{ word }}?"}]
    _, context = await run_op(generate.OP, {"word": "hi"}, ["a"], messages=turns, into="said")
    assert context.asked[0][0] == (Message("system", "Be brief."), Message("user", "hi?"))


async def test_generate_holds_answers_to_the_schema() -> None:
    answers = ['{"a": 1}', '{"a": "x"}', "{", ""]
    outcomes, _ = await run_op(generate.OP, {"word": "hi"}, answers, n=4, schema=SCHEMA, **ASK)
    assert data(outcomes[0])["said"] == {"a": 1}
    assert reasons(outcomes) == [None, "invalid_json", "invalid_json", "empty"]


async def test_generate_reads_a_fenced_block() -> None:
    answers = ['Here it is:\n```json\n{"a": 1}\n```', '```\n{"a": 1}\n```\n```\n{"a": 2}\n```']
    outcomes, context = await run_op(
        generate.OP, {"word": "hi"}, answers, n=2, schema=SCHEMA, **ASK
    )
    assert data(outcomes[0])["said"] == {"a": 1}
    assert reasons(outcomes) == [None, "invalid_json"]
    assert context.schemas == [SCHEMA]


@pytest.mark.parametrize(("truncated", "reason"), [("reject", "truncated"), ("keep", None)])
async def test_generate_and_answers_cut_off(truncated: str, reason: str | None) -> None:
    answers = [Completion("half a", finish_reason="length")]
    outcomes, _ = await run_op(generate.OP, {"word": "hi"}, answers, truncated=truncated, **ASK)
    assert reasons(outcomes) == [reason]


@pytest.mark.parametrize(
    "params",
    [
        {"into": "x"},
        {"into": "x", "prompt": "a", "messages": []},
        {**ASK, "schema": {"type": 3}},
        {**ASK, "n": 2, "temperature": 0},
    ],
)
def test_generate_refuses_unusable_parameters(params: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        generate.OP.params.model_validate(params)


def test_generate_declares_what_its_templates_read() -> None:
    declared = generate.OP.columns(
        generate.OP.params.model_validate({**ASK, "n": 2}), TASKS["free_text"]
    )
    assert declared.templates == {"prompt": "Say {{ word }}."}
    assert declared.provides == {"said": "string", "sample": "integer"}


async def test_filter_keeps_or_rejects_with_its_reason() -> None:
    kept, _ = await run_op(filter.OP, {"a": 1}, where="a == 1")
    dropped, _ = await run_op(filter.OP, {"a": 2}, where="a == 1", reason="other")
    assert data(kept[0]) == {"a": 1}
    assert reasons(dropped) == ["other"]


async def test_map_types_its_columns_and_reads_the_row_as_it_was() -> None:
    (row,), _ = await run_op(
        map.OP,
        {"a": 1, "b": [1, "x"]},
        set={
            "a": {"expr": "a + 1", "type": "integer"},
            "twice": {"expr": "a * 2", "type": "number"},
            "text": "b",
            "names": {"expr": "b", "type": "strings"},
            "any": {"expr": "b | length > 1", "type": "boolean"},
        },
    )
    assert data(row) == {
        "a": 2,
        "twice": 2.0,
        "text": '[1, "x"]',
        "names": ["1", "x"],
        "any": True,
        "b": [1, "x"],
    }


@pytest.mark.parametrize(
    ("expr", "type_"), [("'x'", "integer"), ("'abc'", "strings"), ("missing", "string")]
)
async def test_map_fails_on_what_has_no_such_form(expr: str, type_: str) -> None:
    with pytest.raises((ValueError, TemplateError)):
        await run_op(map.OP, {}, set={"x": {"expr": expr, "type": type_}})


async def test_explode_makes_a_row_of_each_item_with_ids_of_their_own() -> None:
    rows, _ = await run_op(explode.OP, {"words": ["a", "b"]}, column="words", into="word")
    assert [(data(r)["word"], data(r)["word_index"]) for r in rows] == [("a", 0), ("b", 1)]
    assert len({row.id for row in rows if isinstance(row, Row)}) == 2


async def test_explode_rejects_an_empty_list_and_fails_on_no_list() -> None:
    outcomes, _ = await run_op(explode.OP, {"words": []}, column="words", into="word")
    assert reasons(outcomes) == ["empty_list"]
    with pytest.raises(ValueError, match="expected a list"):
        await run_op(explode.OP, {"words": "abc"}, column="words", into="word")
