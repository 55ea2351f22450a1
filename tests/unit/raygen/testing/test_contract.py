"""The contract of ops: the built-in ones keep to it, and each way to break it is named."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from pydantic import ConfigDict, Field

from raygen.core.row import Reject, Row
from raygen.core.task import TASKS, Task
from raygen.core.template import render
from raygen.engines.base import Sampling
from raygen.ops.base import Columns, Context, Cost, Op, OpParams
from raygen.ops.registry import built_in
from raygen.testing import ContractError, Script, check_op
from tests.support.op_cases import CASES, COUNTERFACTUAL, QUESTION


class AddParams(OpParams):
    """Adds a column that the engine fills.

    Emits the row. Rejects an answer that is `empty`.
    """

    prompt: str = Field("{{ question }}", description="a template")


def add_columns(params: AddParams, task: Task) -> Columns:
    return Columns(
        requires=frozenset({"question"}),
        provides={"said": "string"},
        hides=frozenset({"answer"}),
        templates={"prompt": params.prompt},
        cost=Cost(1, 1, 8),
    )


async def add(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    prompt = render(params.prompt, row.data)
    (answer,) = await ctx.generate(prompt, Sampling(max_tokens=8, seed=ctx.seed()))
    return [row.child(ctx.node, 0, {"said": answer.text}) if answer.text else Reject("empty")]


ADD = Op("add", 1, AddParams, add, add_columns, needs_engine=True)


async def shows_the_answer(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    await ctx.generate(f"Is it {row.data['answer']}?", Sampling(max_tokens=8))
    return [row.child(ctx.node, 0, {"said": ""})]


async def draws_at_random(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    return [row.child(ctx.node, 0, {"said": str(random.random())})]


async def changes_its_row(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    row.data["choices"].append("more")
    return [row.child(ctx.node, 0, {"said": ""})]


async def reads_in_secret(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    return [row.child(ctx.node, 0, {"said": row.data["secret"]})]


async def asks_twice(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    await ctx.generate("a", Sampling(max_tokens=8))
    return await add(row, params, ctx)


async def asks_for_more(row: Row, params: AddParams, ctx: Context) -> Sequence[Row | Reject]:
    await ctx.generate("a", Sampling(n=2, max_tokens=8))
    return []


def gives(*outcomes: Any) -> Callable[..., Any]:
    """A run with these outcomes, each made of the row."""

    async def run(row: Row, params: AddParams, ctx: Context) -> Any:
        return [outcome(row) if callable(outcome) else outcome for outcome in outcomes]

    return run


def child(k: int = 0, **columns: Any) -> Callable[[Row], Row]:
    return lambda row: row.child("node", k, columns)


def faults(op: Op, **params: Any) -> str:
    row = {**QUESTION, "choices": ["sand", "snow"], "secret": "x"}
    with pytest.raises(ContractError) as raised:
        check_op(op, params, [row], answers=["fine"])
    return str(raised.value)


@pytest.mark.parametrize(
    ("name", "params", "row", "script"), CASES, ids=[f"{n}-{k}" for k, (n, *_) in enumerate(CASES)]
)
def test_built_in_ops_keep_to_it(
    name: str, params: dict[str, Any], row: dict[str, Any], script: Script
) -> None:
    rows = [{**row, "unread": 1}, {**row, "question": "What swims?"}, row]
    assert len(check_op(built_in()[name], params, rows, answers=script)) >= 3


def test_no_built_in_op_goes_unchecked() -> None:
    assert {name for name, *_ in CASES} == set(built_in())


def test_a_column_that_an_op_can_do_without_is_declared_too() -> None:
    def undeclared(params: Any, task: Task) -> Columns:
        return replace(built_in()["join_views"].columns(params, task), optional=frozenset())

    op = replace(built_in()["join_views"], columns=undeclared)
    with pytest.raises(ContractError, match=r"Columns\.optional where it can do without"):
        check_op(op, {"required": ["counterfactual"]}, [COUNTERFACTUAL])


def test_an_op_that_keeps_to_it_gives_its_outcomes() -> None:
    (row,) = check_op(ADD, {}, [QUESTION], answers=["fine"])
    assert isinstance(row, Row)
    assert row.data["said"] == "fine"
    assert check_op(ADD, {}, [QUESTION], answers=[""]) == [Reject("empty")]


@pytest.mark.parametrize(
    ("run", "message"),
    [
        (shows_the_answer, "hides 'answer', and its prompts depend on it"),
        (draws_at_random, "gives something else the second time"),
        (changes_its_row, "changes the row"),
        (reads_in_secret, "reads columns that it doesn't declare"),
        (asks_twice, "asks 2 times for 1 rows, above its declared cost of 1"),
        (asks_for_more, "more completions or tokens than its declared cost"),
        (gives(child()), "provides 'said', and a row has no such column"),
        (gives(child(said=3)), "column 'said' is declared as string and is 3"),
        (gives(child(said="", other=1)), "sets column 'other', which isn't in Columns.provides"),
        (gives(child(said="a"), child(said="b")), "two rows have one id"),
        (gives(Row("other", {"said": ""})), "descends from none that came in"),
        (gives(Reject("")), "reject reason '' isn't one short word"),
        (gives(Reject("it is bad")), "reject reason 'it is bad' isn't one short word"),
        (gives("row"), "it gives str; expected Row or Reject"),
        (gives(), "it gives neither a row nor a reject"),
    ],
)
def test_what_a_run_does_wrong_is_named(run: Any, message: str) -> None:
    assert message in faults(replace(ADD, run=run))


class Bare(OpParams):
    secret: int = 0


class Loose(AddParams):
    """Takes anything."""

    model_config = ConfigDict(extra="ignore")


class Forgetful(AddParams):
    """Doesn't write all that it knows."""

    kept: int = Field(0, description="not written", exclude=True)


@pytest.mark.parametrize(
    ("op", "params", "message"),
    [
        (replace(ADD, params=Bare, columns=lambda p, t: Columns()), {}, "has no docstring"),
        (replace(ADD, params=Bare, columns=lambda p, t: Columns()), {}, "'secret' has no descript"),
        (replace(ADD, params=Loose), {}, "take unknown names"),
        (replace(ADD, params=Forgetful), {"kept": 1}, "written as JSON and read again, are others"),
        (replace(ADD, columns=lambda p, t: add_columns(p, t)), {}, "can't be pickled"),
        (replace(ADD, needs_engine=False), {}, "declares calls and no engine"),
        (replace(ADD, columns=lambda p, t: Columns()), {}, "needs an engine and declares no cost"),
        (
            replace(ADD, columns=lambda p, t: Columns(provides={"said": "text"})),  # type: ignore[dict-item]
            {},
            "column 'said' is declared as 'text'; expected one of string, integer",
        ),
        (ADD, {"promt": "x"}, "the parameters don't fit"),
    ],
)
def test_what_an_op_declares_wrong_is_named(op: Op, params: dict[str, Any], message: str) -> None:
    error = faults(op, **params) if op.params is not Bare else faults(replace(op, run=gives()))
    assert message in error


def test_all_faults_are_named_at_once() -> None:
    op = replace(ADD, run=gives(child(said=3), Reject("")), needs_engine=False)
    assert len(faults(op).splitlines()) >= 4


def test_a_script_that_lacks_what_an_op_asks_for_says_so() -> None:
    row = {**QUESTION, "original": "What swims?", "original_answer": 0, "target": 1}
    with pytest.raises(LookupError, match=r"give it scores=\.\.\."):
        check_op(
            built_in()["flip_check"], {}, [row], answers=["(b)"], task=TASKS["multiple_choice"]
        )


@pytest.mark.parametrize(
    "params", [{"how": "shuffle"}, {"how": "mask", "fraction": 0.5}, {"how": "unknown", "count": 2}]
)
def test_parameters_come_back_from_a_plan(params: dict[str, Any]) -> None:
    kind = built_in()["perturb_rationale"].params
    given = kind.model_validate(params)
    assert kind.read_back(given.model_dump(mode="json", by_alias=True)) == given
