"""What an endpoint's refusals teach, and whose fault they are: against a fake provider."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from raygen.engines.base import (
    EngineSetupError,
    EngineSpec,
    EngineUnavailableError,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
)
from raygen.engines.openai.engine import OpenAIEngine
from tests.support.provider import Manners, Provider, error, provider

CHAT = (Message("user", "Which animal barks?"),)
SAMPLING = Sampling(n=2, temperature=0.7, seed=5, stop=("\n\n",))
NO_CREDIT = (400, error("no credit is left on this account"))
FLAGGED = (403, {"error": {"code": 403, "message": "the input was flagged by moderation"}})


@asynccontextmanager
async def asked(server: Provider, **args: Any) -> AsyncIterator[OpenAIEngine]:
    spec = EngineSpec("teacher", "m", backend="openai", args={"base_url": server.url, **args})
    engine = await OpenAIEngine.start(spec, first_wait=0.001)
    try:
        yield engine
    finally:
        await engine.close()


def chat(words: str) -> Request:
    return Request((Message("user", words),), Sampling(seed=1))


@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize("name", ["temperature", "top_p", "seed", "stop", "logprobs", "n"])
async def test_a_refused_setting_is_left_out_from_then_on_and_said_once(
    name: str, silent: bool
) -> None:
    with provider(Manners(refused=frozenset({name}), silent=silent)) as server:
        async with asked(server) as engine:
            for _ in range(3):
                assert len(await engine.generate(Request(CHAT, SAMPLING))) == 2
            (note, *others) = engine.notes
    assert (name in note) or name == "n"
    assert len(others) == (name == "n")
    learned = server.bodies[-3:]
    assert not [body for body in learned if name in body]
    kept = {"temperature", "top_p", "seed", "stop", "logprobs", "n"} - {name}
    assert all(kept <= set(body) for body in learned)
    if not silent:
        assert sum(name in body for body in server.bodies) == (2 if name == "n" else 1)


@pytest.mark.parametrize(
    ("name", "warns"), [("temperature", True), ("stop", True), ("seed", False), ("top_p", False)]
)
async def test_a_warning_where_answers_are_others_without_a_setting(name: str, warns: bool) -> None:
    with provider(Manners(refused=frozenset({name}))) as server:
        async with asked(server) as engine:
            await engine.generate(Request(CHAT, SAMPLING))
            assert engine.notes[0].startswith("warning") is warns
        async with asked(server, strict=True) as engine:
            if not warns:
                await engine.generate(Request(CHAT, SAMPLING))
                return
            with pytest.raises(EngineSetupError, match=rf"refuses '{name}'.*strict"):
                await engine.generate(Request(CHAT, SAMPLING))


@pytest.mark.parametrize(
    ("manners", "numbers"),
    [
        (Manners(gives=3), [8, 3, 2]),
        (Manners(gives=1), [8] + [1] * 7),
        (Manners(takes=3), [8, 3, 3, 2]),
        (Manners(takes=1), [8] + [1] * 8),
    ],
)
async def test_n_answers_come_in_as_many_requests_as_it_takes_each_with_its_seed(
    manners: Manners, numbers: list[int]
) -> None:
    with provider(manners) as server:
        async with asked(server) as engine:
            answers = await engine.generate(Request(CHAT, Sampling(n=8, seed=7)))
            assert sorted(body["n"] for body in server.bodies) == sorted(numbers)
            again = await engine.generate(Request(CHAT, Sampling(n=8, seed=7)))
    assert len(answers) == len(again) == 8
    taken = numbers if manners.gives else numbers[1:]
    seeds = [body["seed"] for body in server.bodies[len(numbers) - len(taken) :]]
    assert len(set(seeds[: len(taken)])) == len(taken)
    assert {answer.prompt_tokens for answer in answers} == {10 * len(taken)}


async def test_what_a_server_refuses_later_is_learned_again() -> None:
    with provider() as server:
        async with asked(server) as engine:
            await engine.generate(Request(CHAT, SAMPLING))
            server.manners.refused = frozenset({"top_p"})
            await asyncio.gather(*(engine.generate(Request(CHAT, SAMPLING)) for _ in range(4)))
            assert len(engine.notes) == 1
            assert "top_p" not in server.bodies[-1]


async def test_only_the_first_request_is_refused_where_many_begin_together() -> None:
    with provider(Manners(refused=frozenset({"seed"}), other_limit=True)) as server:
        async with asked(server) as engine:
            await asyncio.gather(*(engine.generate(chat(f"q{i}")) for i in range(20)))
    assert len(server.bodies) == 22


@pytest.mark.parametrize(
    ("reply", "kind", "message"),
    [
        (NO_CREDIT, EngineUnavailableError, "400: no credit is left.*stays pending"),
        ((402, error("Insufficient Balance")), EngineUnavailableError, "402: Insufficient"),
        ((401, error("Incorrect key sk-123")), EngineSetupError, r"401: Incorrect key \*.*the key"),
        ((403, error("not for you")), EngineSetupError, "403: not for you; the key"),
        ((404, error("no model m")), EngineSetupError, "404: no model m; correct"),
        ((307, b""), EngineSetupError, "answered 307"),
        ((400, error("context length is 5")), EngineSetupError, "lower max_tokens"),
    ],
)
@pytest.mark.parametrize("later", [False, True])
async def test_what_everybody_is_refused_ends_the_run_with_the_servers_words(
    reply: Any, kind: type[Exception], message: str, later: bool
) -> None:
    with provider() as server:
        async with asked(server) as engine:
            if later:
                await engine.generate(chat("fine"))
                message = message if "lower" not in message else "prompt_too_long"
                kind = kind if "too_long" not in message else RequestRefusedError
            server.manners.everybody = reply
            ended = await asyncio.gather(
                *(engine.generate(chat(f"q{i}")) for i in range(12)), return_exceptions=True
            )
    assert {type(one) for one in ended} == {kind}
    with pytest.raises(kind, match=message):
        raise ended[0]  # type: ignore[misc]
    if not later:
        assert len(server.bodies) <= 12 + 12


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (FLAGGED, "refused"),
        ((400, error("no", code="content_filter")), "refused"),
        ((400, error("maximum context length is 5 tokens")), "prompt_too_long"),
        ((403, error("not for you")), "bad_request"),
        ((404, error("no such thing")), "bad_request"),
        (NO_CREDIT, "bad_request"),
    ],
)
@pytest.mark.parametrize("first", [False, True])
async def test_what_one_request_is_refused_is_its_own(reply: Any, reason: str, first: bool) -> None:
    with provider(Manners(flagged={"odd": reply})) as server:
        async with asked(server) as engine:
            if not first:
                await engine.generate(chat("fine"))
            with pytest.raises(RequestRefusedError, match=reply[1]["error"]["message"]) as raised:
                await engine.generate(chat("odd one"))
            assert raised.value.reason == reason
            assert len(await engine.generate(chat("fine"))) == 1


async def test_many_refused_requests_among_good_ones_ask_few_control_questions() -> None:
    with provider(Manners(flagged={"odd": NO_CREDIT})) as server:
        async with asked(server) as engine:
            for i in range(20):
                await engine.generate(chat(f"fine {i}"))
                with pytest.raises(RequestRefusedError):
                    await engine.generate(chat(f"odd {i}"))
    assert len(server.bodies) == 41


async def test_an_endpoint_that_takes_chats_only_says_so() -> None:
    with provider(Manners(paths=("/v1/chat/completions",))) as server:
        async with asked(server) as engine:
            with pytest.raises(EngineSetupError, match=r"404: Not Found.*set `api: chat`"):
                await engine.generate(Request("q"))


@pytest.mark.parametrize("status", [401, 403, 404, 307, 500])
async def test_a_list_of_models_that_is_refused_proves_nothing(status: int) -> None:
    with provider(Manners(models=status)) as server:
        async with asked(server) as engine:
            assert len(await engine.generate(chat("q"))) == 1
    assert len(server.bodies) == 1


async def test_an_answer_that_was_broken_off_is_none() -> None:
    broken = {"finish_reason": "error", "error": {"message": "the provider hung up"}}
    with provider(Manners(choice=broken)) as server:
        async with asked(server) as engine:
            with pytest.raises(EngineUnavailableError, match=r"broke the answer off.*6 times"):
                await engine.generate(chat("q"))


@pytest.mark.parametrize(
    ("inner", "outer"),
    [
        ({"code": 429, "message": "slow down"}, None),
        ({"code": "server_error", "message": "oops"}, None),
        ({"code": "context_length_exceeded", "message": "context length"}, "prompt_too_long"),
    ],
)
async def test_an_error_in_a_reply_of_200_is_one(inner: Any, outer: str | None) -> None:
    replies = [(200, {"error": inner})]

    with provider(Manners()) as server:
        plain = server.reply
        server.reply = lambda path, body: replies.pop() if replies else plain(path, body)  # type: ignore[method-assign]
        async with asked(server) as engine:
            if outer is None:
                assert len(await engine.generate(chat("q"))) == 1
                return
            with pytest.raises(RequestRefusedError, match=outer):
                await engine.generate(chat("q"))


async def test_headers_and_a_query_go_with_every_request(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-not-for-azure")
    monkeypatch.setenv("AZURE_KEY", "azure-key-0123")
    sent = {
        "headers": {"api-key": {"env": "AZURE_KEY"}, "X-Team": "a"},
        "query": {"api-version": "2024-10-21"},
    }
    with provider(Manners(flagged={"odd": (400, error("azure-key-0123 is odd"))})) as server:
        async with asked(server, **sent) as engine:
            await engine.generate(chat("q"))
            with pytest.raises(RequestRefusedError, match=r"\*\*\* is odd"):
                await engine.generate(chat("odd"))
    assert server.paths[0] == "/v1/chat/completions?api-version=2024-10-21"
    assert server.headers[0]["api-key"] == "azure-key-0123"
    assert server.headers[0]["X-Team"] == "a"
    assert "Authorization" not in server.headers[0]


async def test_a_proxy_of_the_environment_stands_in_its_errors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("HTTP_PROXY", "http://me:secret-pa55word@127.0.0.1:9")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    args = {"base_url": " http://model.invalid/v1// "}
    spec = EngineSpec("teacher", "m", backend="openai", args=args)
    with pytest.raises(EngineUnavailableError, match=r"the proxy 127.0.0.1:9 of") as raised:
        await OpenAIEngine.start(spec, first_wait=0.001)
    assert "pa55word" not in str(raised.value)
    assert "http://model.invalid/v1," in str(raised.value)
