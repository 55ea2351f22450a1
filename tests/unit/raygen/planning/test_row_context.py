"""RowContext: what is asked is recorded, and what is recorded is not asked again."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.core.row import Row
from raygen.dataset.call_cache import RecordedCalls
from raygen.dataset.records import Call
from raygen.engines.base import Completion, EngineSpec, Message, Request, Sampling, Score, TopTokens
from raygen.ops.base import Context
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

    async def generate(self, request: Request) -> list[Completion]:
        self.asked += 1
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
    await ctx.generate("Why?", Sampling(n=2, max_tokens=8, seed=4))
    await ctx.generate("Why?", SAMPLING, SCHEMA)
    await ctx.generate(CHAT, SAMPLING)
    await ctx.score("Why?", ["a"])
    await ctx.classify("Why?")
    assert engine.asked == 7
    assert not any(call.reused for call in asked)
    await ctx.generate("Why?", SAMPLING)
    await ctx.generate("Why?", SAMPLING)
    assert engine.asked == 8, "one recorded answer answers one call"


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
