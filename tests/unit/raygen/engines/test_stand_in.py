"""Stand-in engines: whatever can be asked of an engine ends in `receive`."""

from __future__ import annotations

import inspect
from typing import NoReturn

import pytest

from raygen.engines.base import (
    Attributor,
    Classifier,
    Engine,
    Message,
    Prompt,
    Request,
    TokenPredictor,
)
from raygen.engines.stand_in import StandInEngine

CHAT: Prompt = (Message("system", "Be short."), Message("user", "Why?"))


class ReceivedError(Exception):
    """Carries the texts that a stand-in received."""


class Raises(StandInEngine):
    """Raises what it receives."""

    async def receive(self, *texts: str) -> NoReturn:
        raise ReceivedError(*texts)


async def received_by(engine: StandInEngine, method: str) -> tuple[str, ...]:
    calls = {
        "generate": lambda: engine.generate(Request(CHAT)),
        "score": lambda: engine.score("p", ["a", "b"]),
        "top_tokens": lambda: engine.top_tokens(CHAT, "text", 3),
        "classify": lambda: engine.classify("text"),
        "attribute": lambda: engine.attribute("text", 0, "yes"),
        "nearest": lambda: engine.nearest("word", 3),
    }
    with pytest.raises(ReceivedError) as raised:
        await calls[method]()
    return raised.value.args


@pytest.mark.parametrize(
    ("method", "texts"),
    [
        ("generate", ("Be short.\nWhy?",)),
        ("score", ("p", "p")),
        ("top_tokens", ("Be short.\nWhy?", "text")),
        ("classify", ("text",)),
        ("attribute", ("text",)),
        ("nearest", ("word",)),
    ],
)
async def test_every_request_ends_in_receive(method: str, texts: tuple[str, ...]) -> None:
    assert await received_by(Raises(), method) == texts


@pytest.mark.parametrize("protocol", [Engine, Classifier, TokenPredictor, Attributor])
def test_it_can_do_whatever_an_engine_can(protocol: type) -> None:
    methods = [name for name, _ in inspect.getmembers(protocol, inspect.isfunction)]
    asks = [name for name in methods if not name.startswith("_")]
    assert asks
    assert [name for name in asks if name not in vars(StandInEngine)] == []
