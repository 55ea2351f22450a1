"""Prompts counted by running ops up to their first call, on an engine that never answers."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS, Task
from raygen.engines.base import EngineSpec, Sampling
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.planning.estimate import estimate_run
from raygen.planning.plan import Plan
from raygen.planning.prompt_tokens import PromptTokenCounts, count_prompt_tokens
from tests.support.op_cases import CASES
from tests.support.plans import QUESTION, fake_spec, node, plan

ROWS = [("a", QUESTION), ("b", {**QUESTION, "question": "Where do fish live?" * 3})]


def with_op(op: Op, spec: EngineSpec | None = None) -> Plan:
    base = node("asks", "generate", prompt="{{ question }}", into="x")
    return plan([replace(base, op=op, params=op.params())], ("asks",), spec or fake_spec("yes"))


def op(run: Any, group: bool = False) -> Op:
    def columns(params: Any, task: Task) -> Columns:
        return Columns()

    return Op("asks", 1, OpParams, run, columns, needs_engine=True, group=group)


def test_a_node_on_the_source_is_counted_on_its_own_prompts() -> None:
    one = plan(
        [node("asks", "generate", prompt="{{ question }}!", into="x")], ("asks",), fake_spec("yes")
    )
    # 20 and 58 characters, at four a token.
    assert count_prompt_tokens(one, ROWS).tokens == {("asks", "teacher"): (5 + 15) / 2}
    assert count_prompt_tokens(one, ROWS).problems == {}


def test_a_column_that_an_earlier_node_makes_stands_in_at_the_length_of_the_stem() -> None:
    first = replace(
        node("first", "generate", prompt="{{ question }}", into="x"), adds={"x": "string"}
    )
    second = node("second", "generate", "first", prompt="{{ x }}", into="y")
    found = count_prompt_tokens(plan([first, second], ("second",), fake_spec("yes")), ROWS).tokens
    assert found["second", "teacher"] == found["first", "teacher"]


def test_calls_made_together_and_candidates_are_all_counted() -> None:
    async def run(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
        await asyncio.gather(ctx.score("12345678", ["a", "b"]), ctx.generate("1234", Sampling()))
        raise AssertionError("an engine that never answers has answered")

    assert count_prompt_tokens(with_op(op(run)), ROWS[:1]).tokens == {
        ("asks", "teacher"): (4 + 1) / 2
    }


def test_an_op_that_fails_or_asks_nothing_is_left_out() -> None:
    async def fails(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
        raise KeyError("spans")

    async def silent(rows: Sequence[Row], params: Any, ctx: Context) -> Sequence[Row | Reject]:
        return rows

    assert count_prompt_tokens(with_op(op(fails)), ROWS).tokens == {}
    assert count_prompt_tokens(with_op(op(fails)), ROWS).failures == {"asks": "KeyError: 'spans'"}
    assert count_prompt_tokens(with_op(op(silent, group=True)), ROWS) == PromptTokenCounts(
        {}, {}, {}
    )


def test_a_model_whose_tokenizer_cannot_be_had_is_counted_by_characters(tmp_path: Any) -> None:
    async def run(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
        await ctx.generate("12345678", Sampling())
        return []

    spec = EngineSpec("teacher", str(tmp_path), backend="transformers")
    found = count_prompt_tokens(with_op(op(run), spec), ROWS[:1])
    assert found.tokens == {("asks", "teacher"): 2.0}
    assert "tokenizer.json" in found.problems["teacher"]


@pytest.mark.parametrize(
    ("name", "params", "row"),
    [(name, params, row) for name, params, row, _ in CASES],
    ids=[f"{name}-{k}" for k, (name, *_) in enumerate(CASES)],
)
def test_every_op_that_calls_a_model_is_estimated_on_its_prompts(
    name: str, params: dict[str, Any], row: dict[str, Any]
) -> None:
    asks = node("asks", name, **params)
    asks = replace(asks, cost=asks.op.columns(asks.params, TASKS["multiple_choice"]).cost)
    engines = {"teacher", *asks.params.engines().values()}
    of = plan([asks], ("asks",), [fake_spec("yes", name=engine) for engine in sorted(engines)])
    probed = count_prompt_tokens(of, [("a", row), ("b", row)])
    assert probed.failures == {}
    assert bool(probed.tokens) == bool(asks.op.needs_engine or asks.params.engines())
    assert all(tokens > 0 for tokens in probed.tokens.values())
    expected = estimate_run(of, 100, probed).nodes["asks"]
    assert bool(expected.calls) == bool(expected.prompt_tokens) == bool(asks.cost.calls)


def test_an_op_whose_prompts_cannot_be_counted_is_named_in_the_estimate() -> None:
    async def fails(row: Row, params: Any, ctx: Context) -> Sequence[Row | Reject]:
        raise KeyError("spans")

    of = with_op(op(fails))
    assert estimate_run(of, 100, count_prompt_tokens(of, ROWS)).notes[0] == (
        "asks: its prompts can't be counted before a run (KeyError: 'spans'); "
        "taken as long as the others"
    )
