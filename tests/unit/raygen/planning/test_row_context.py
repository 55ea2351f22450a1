"""RowContext: what is asked is recorded, and what is recorded is not asked again."""

from __future__ import annotations

import json
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

from raygen.core.row import Row
from raygen.dataset.call_cache import RecordedCalls
from raygen.dataset.records import Call
from raygen.engines.base import Completion, EngineSpec, Message, Request, Sampling, Score, TopTokens
from raygen.ops.base import Context
from raygen.ops.common.request_params import SamplingParams
from raygen.planning.row_context import RowContext
from raygen.testing import FakeContext
from tests.support.plans import QUESTION, node, plan

SAMPLING = Sampling(n=2, max_tokens=8, seed=3)
SCHEMA = {"type": "object"}
CHAT = (Message("user", "Why?"),)


class Counting:
    """A fake engine that answers differently each time it is asked, and counts."""

    def __init__(self) -> None:
        self.asked = 0
        self.samplings: list[Sampling] = []

    async def generate(self, request: Request) -> list[Completion]:
        self.asked += 1
        self.samplings.append(request.sampling)
        texts = [f"<think>so</think>answer {self.asked}.{k}" for k in range(request.sampling.n)]
        return [Completion(text, "stop", 7, 5, -1.25 / self.asked) for text in texts]

    async def score(self, prompt: Any, candidates: Any) -> list[Score]:
        self.asked += 1
        return [Score(-0.1 * (self.asked + k), 2 + k) for k, _ in enumerate(candidates)]

    async def classify(self, text: str) -> dict[str, float]:
        self.asked += 1
        return {"yes": 0.1 + self.asked / 100, "no": 0.9 - self.asked / 100, "never": 0.0}

    async def top_tokens(self, prompt: Any, text: str, k: int) -> TopTokens:
        self.asked += 1
        return TopTokens("v", (1, 2), ((3, 4),) * 2, ((-0.1 * self.asked, -9.5),) * 2, 7)

    async def close(self) -> None: ...


def context(engine: Counting, record: list[Call], recorded: list[Call], name: str) -> RowContext:
    by_id: dict[str, list[Call]] = {}
    for call in recorded:
        by_id.setdefault(call.id, []).append(call)
    asks = node("ask", "generate", prompt="{{ question }}", into="text")
    of = plan([asks], ("ask",), EngineSpec("teacher", "m", revision="r"))
    running = node(name, "generate", prompt="{{ question }}", into="text")
    answers = RecordedCalls(by_id)
    return RowContext(
        of, {"teacher": engine}, running, Row("key", QUESTION), record.append, answers
    )


async def ask_everything(ctx: RowContext) -> list[Any]:
    return [
        await ctx.generate("Why?", SAMPLING),
        await ctx.generate("Why?", SAMPLING),
        await ctx.generate(CHAT, SAMPLING),
        await ctx.generate("Why?", SAMPLING, SCHEMA),
        await ctx.score("Why?", ["a", "b"]),
        await ctx.classify("Why?"),
        await ctx.top_tokens("Why?", " so it is", 2),
    ]


async def test_recorded_calls_answer_exactly_as_the_engine_did() -> None:
    engine = Counting()
    first: list[Call] = []
    answers = await ask_everything(context(engine, first, [], "ask"))
    assert answers[0] != answers[1], "two equal calls had two answers"
    assert answers[0][0].thinking == "so"
    assert 0 < answers[0][0].thinking_tokens < answers[0][0].output_tokens
    assert engine.asked == len(first) == 7
    second: list[Call] = []
    again = await ask_everything(context(engine, second, first, "renamed"))
    assert again == answers
    assert engine.asked == 7, "the engine was not asked"
    assert [call.id for call in second] == [call.id for call in first]
    assert all(call.reused and call.node == "renamed" for call in second)
    assert [call.output_tokens for call in first] == [10, 10, 10, 10, 0, 0, 0]
    third: list[Call] = []
    assert await ask_everything(context(engine, third, second, "ask")) == answers
    assert third[0].seconds == first[0].seconds


async def test_any_difference_in_what_the_engine_gets_is_a_new_call() -> None:
    engine = Counting()
    first: list[Call] = []
    await context(engine, first, [], "ask").generate("Why?", SAMPLING)
    asked: list[Call] = []
    ctx = context(engine, asked, first, "ask")
    await ctx.generate("Why ?", SAMPLING)
    await ctx.generate("Why?", Sampling(n=2, max_tokens=8, seed=5))
    await ctx.generate("Why?", SAMPLING, SCHEMA)
    await ctx.generate(CHAT, SAMPLING)
    await ctx.score("Why?", ["a"])
    await ctx.classify("Why?")
    assert engine.asked == 7
    assert not any(call.reused for call in asked)
    await ctx.generate("Why?", SAMPLING)
    await ctx.generate("Why?", SAMPLING)
    assert engine.asked == 8, "one recorded answer answers one call"


def asked_for(engine: Counting) -> list[tuple[int, int | None]]:
    """How many samples each request asked for, and its seed."""
    return [(sampling.n, sampling.seed) for sampling in engine.samplings]


async def test_a_higher_n_asks_for_the_others_alone_in_one_request() -> None:
    engine = Counting()
    first: list[Call] = []
    before = await context(engine, first, [], "ask").generate(CHAT, SAMPLING, SCHEMA)
    second: list[Call] = []
    more = replace(SAMPLING, n=5)
    after = await context(engine, second, first, "ask").generate(CHAT, more, SCHEMA)
    assert asked_for(engine) == [(2, 3), (3, 5)], "sample k has the seed plus k"
    assert after[:2] == before
    assert len(after) == 5
    assert [(call.reused, call.output_tokens) for call in second] == [(True, 10), (False, 15)]
    third: list[Call] = []
    assert await context(engine, third, second, "ask").generate(CHAT, more, SCHEMA) == after
    assert engine.asked == 2
    assert all(call.reused for call in third)


async def test_a_lower_n_takes_the_first_and_records_them_alone() -> None:
    engine = Counting()
    first: list[Call] = []
    five = await context(engine, first, [], "ask").generate("Why?", replace(SAMPLING, n=5))
    second: list[Call] = []
    two = await context(engine, second, first, "ask").generate("Why?", SAMPLING)
    assert two == five[:2]
    assert engine.asked == 1
    (call,) = second
    assert (call.reused, call.output_tokens, json.loads(call.sampling)["n"]) == (True, 10, 2)
    alone: list[Call] = []
    await context(engine, alone, [], "ask").generate("Why?", SAMPLING)
    assert call.id == alone[0].id, "as if they had been asked for alone"
    third: list[Call] = []
    again = await context(engine, third, [*second, *first], "ask").generate(
        "Why?", replace(SAMPLING, n=5)
    )
    assert again == five, "what an edit left out is still there"
    assert engine.asked == 2


async def test_samples_without_a_seed_are_taken_in_their_order() -> None:
    engine = Counting()
    first: list[Call] = []
    unseeded = replace(SAMPLING, seed=None)
    before = await context(engine, first, [], "ask").generate("Why?", unseeded)
    after = await context(engine, [], first, "ask").generate("Why?", replace(unseeded, n=3))
    assert after[:2] == before
    assert asked_for(engine) == [(2, None), (1, None)]


def calls_of_0_1_0() -> list[Call]:
    files = Path("tests/data/dataset-0.1.0/out/transcripts").glob("*.parquet")
    rows = [row for file in files for row in pq.read_table(file).to_pylist()]
    names = [field.name for field in fields(Call)]
    return [Call(**{name: row[name] for name in names}) for row in rows]


async def test_samples_that_raygen_0_1_0_recorded_are_found() -> None:
    calls = calls_of_0_1_0()
    assert calls
    for call in calls:
        sampling = Sampling(**json.loads(call.sampling))
        engine = Counting()
        asks = node("ask", "generate", prompt="{{ question }}", into="text")
        of = plan([asks], ("ask",), EngineSpec("teacher", call.model, revision=call.revision))
        ctx = RowContext(
            of,
            {"teacher": engine},
            asks,
            Row("key", QUESTION),
            [].append,
            RecordedCalls({call.id: [call]}),
        )
        more = replace(sampling, n=sampling.n + 2)
        answers = await ctx.generate(call.prompt, more)
        assert [answer.text for answer in answers[: sampling.n]] == [
            recorded["text"] for recorded in json.loads(call.completions)
        ]
        assert asked_for(engine) == [(2, (sampling.seed or 0) + sampling.n)]


async def test_samples_that_raygen_0_1_0_recorded_with_a_seed_of_the_node_are_found() -> None:
    """It moved the row's seed by single steps, so that the seeds 0 and 1 shared most samples."""
    recorded: list[Call] = []
    engine = Counting()
    row_seed = 40
    old = replace(SAMPLING, seed=row_seed + 1)
    before = await context(engine, recorded, [], "ask").generate("Why?", old)
    ctx = context(engine, [], recorded, "ask")
    seeded = node("ask", "generate", prompt="{{ question }}", into="text", seed=1)
    sampling = replace(SAMPLING, seed=SamplingParams(seed=1).sampling(row_seed).seed, n=3)
    after = await replace(ctx, running=seeded).generate("Why?", sampling)
    assert after[:2] == before
    assert asked_for(engine)[1:] == [(1, row_seed + 1024 + 2)]
    unseeded = [*recorded]
    other = context(engine, [], unseeded, "ask")
    await replace(other, running=seeded).generate("Why?", replace(sampling, seed=row_seed + 1025))
    assert asked_for(engine)[-1] == (3, row_seed + 1025), "samples of another seed are others"


def test_no_context_is_made_that_lacks_a_method() -> None:
    class Partial(Context):
        """A context of one's own that forgot the rest."""

        @property
        def node(self) -> str:
            return "node"

    with pytest.raises(TypeError, match="abstract methods"):
        Partial()  # type: ignore[abstract]
    assert Context in RowContext.__mro__
    assert Context in FakeContext.__mro__


async def test_what_the_chat_template_takes_is_part_of_a_chat_and_of_nothing_else() -> None:
    engine = Counting()
    first: list[Call] = []
    second: list[Call] = []
    plain = context(engine, first, [], "ask")
    await plain.generate(CHAT, SAMPLING)
    await plain.generate("Why?", SAMPLING)
    spec = EngineSpec("teacher", "m", revision="r", template_args={"enable_thinking": False})
    other = context(engine, second, first, "ask")
    other = replace(other, plan=replace(other.plan, engines={"teacher": spec}))
    await other.generate(CHAT, SAMPLING)
    await other.generate("Why?", SAMPLING)
    assert [call.reused for call in second] == [False, True]
    assert json.loads(second[0].sampling)["template_args"] == {"enable_thinking": False}
