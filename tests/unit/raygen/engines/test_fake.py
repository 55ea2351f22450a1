"""The fake engine: deterministic scripted answers and faults."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from raygen.engines.base import (
    EngineDeadError,
    EngineSetupError,
    EngineSpec,
    EngineUnavailableError,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
    Thinking,
)
from raygen.engines.fake import FakeEngine


def fake(*answers: Any, **args: Any) -> FakeEngine:
    return FakeEngine(EngineSpec("e", "m", backend="fake", args={"answers": list(answers), **args}))


async def texts(engine: FakeEngine, prompt: str, **sampling: Any) -> list[str]:
    answers = await engine.generate(Request(prompt, Sampling(**sampling)))
    return [answer.text for answer in answers]


async def test_same_prompt_and_seed_give_same_texts() -> None:
    engine = fake("a", "b", "c")
    first = await texts(engine, "q", n=3, seed=7)
    assert first == await texts(engine, "q", n=3, seed=7)
    assert sorted(first) == ["a", "b", "c"]


async def test_another_seed_gives_another_text_somewhere() -> None:
    engine = fake("a", "b", "c")
    assert len({(await texts(engine, "q", seed=seed))[0] for seed in range(20)}) == 3


async def test_first_matching_rule_wins_and_plain_texts_answer_the_rest() -> None:
    engine = fake({"match": "sun", "reply": "star"}, {"match": "s", "reply": "letter"}, "other")
    assert [(await texts(engine, p))[0] for p in ("the sun", "sea", "moon")] == [
        "star",
        "letter",
        "other",
    ]


@pytest.mark.parametrize("pattern", ["(a+)+$", "(a|aa)+$", "(.*a){20}$", "(a.*?){30}z"])
async def test_a_pattern_that_never_ends_fails_its_row(
    monkeypatch: pytest.MonkeyPatch, pattern: str
) -> None:
    monkeypatch.setattr("raygen.engines.fake._MATCH_S", 0.02)
    with pytest.raises(RequestRefusedError, match=r"the pattern .* takes more than 0\.02 s"):
        await texts(fake({"match": pattern, "reply": "x"}), "a" * 5000 + "!")


def test_a_pattern_has_an_end_itself() -> None:
    for pattern in ("a" * 1001, "(" * 900, "("):
        with pytest.raises(EngineSetupError, match="regular expression"):
            fake({"match": pattern, "reply": "x"})


async def test_a_chat_is_matched_by_its_contents() -> None:
    chat = (Message("system", "be brief"), Message("user", "sun?"))
    answer = await fake({"match": "brief\nsun", "reply": "star"}).generate(Request(chat))
    assert (answer[0].text, answer[0].prompt_tokens, answer[0].output_tokens) == ("star", 3, 1)


async def test_no_rule_refuses_the_request() -> None:
    with pytest.raises(RequestRefusedError, match=r"bad_request.*matches 'moon'"):
        await texts(fake({"match": "sun", "reply": "star"}), "moon")


async def test_stop_and_max_tokens_cut() -> None:
    (cut,) = await fake("one two  three END four").generate(
        Request("q", Sampling(max_tokens=2, stop=("END",)))
    )
    assert (cut.text, cut.output_tokens, cut.finish_reason) == ("one two", 2, "length")
    (stopped,) = await fake("one two END four").generate(Request("q", Sampling(stop=("END",))))
    assert (stopped.text, stopped.finish_reason) == ("one two ", "stop")


async def test_a_poison_prompt_kills_the_engine_and_what_is_in_flight() -> None:
    engine = fake({"match": "poison", "reply": {"error": "dead"}}, "fine", latency=0.01)
    results = await asyncio.gather(
        texts(engine, "poison"), texts(engine, "good"), return_exceptions=True
    )
    assert [type(result) for result in results] == [EngineDeadError, EngineDeadError]
    with pytest.raises(EngineDeadError):
        await texts(engine, "good")


async def test_other_scripted_faults_leave_the_engine_alive() -> None:
    engine = fake(
        {"match": "away", "reply": {"error": "unavailable"}},
        {"match": "no", "reply": {"error": "refused"}},
        "fine",
    )
    with pytest.raises(EngineUnavailableError):
        await texts(engine, "away")
    with pytest.raises(RequestRefusedError) as refused:
        await texts(engine, "no")
    assert refused.value.reason == "refused"
    assert await texts(engine, "good") == ["fine"]


async def test_a_transient_fault_is_met_so_often_and_then_answered() -> None:
    engine = fake(
        {"match": "a", "reply": [{"error": "bad_response", "times": 2}, "late"]},
        {"match": "b", "reply": {"error": "bad_request", "times": 1}},
        "plain",
    )
    for prompt, reason in (("a1", "bad_response"), ("a2", "bad_response"), ("a1", "bad_response")):
        with pytest.raises(RequestRefusedError) as raised:
            await texts(engine, prompt)
        assert raised.value.reason == reason
    assert await texts(engine, "a1", n=3) == ["late"] * 3
    with pytest.raises(RequestRefusedError):
        await texts(engine, "a2")
    with pytest.raises(RequestRefusedError, match="bad_request"):
        await texts(engine, "b")
    assert await texts(engine, "b") == ["plain"]


async def test_a_reply_may_say_how_it_ended() -> None:
    script = {"text": "one two", "finish_reason": "refusal", "thinking": "hm", "logprob": -2.5}
    (answer,) = await fake({"match": "q", "reply": script}).generate(Request("q"))
    assert (answer.text, answer.finish_reason, answer.thinking) == ("one two", "refusal", "hm")
    assert (answer.logprob, answer.output_tokens) == (-2.5, 2)


async def test_a_fake_classifier_goes_by_its_classes_or_makes_something_up() -> None:
    engine = fake(
        "x",
        classes=[{"match": "ice", "probabilities": {"hot": 0.1, "cold": 0.9}}],
        labels=["u", "v"],
    )
    assert await engine.classify("an ice cube") == {"hot": 0.1, "cold": 0.9}
    made_up = await engine.classify("a text")
    assert list(made_up) == ["u", "v"]
    assert sum(made_up.values()) == pytest.approx(1)
    assert made_up == await engine.classify("a text")
    assert made_up != await engine.classify("another")


async def test_made_up_attributions_and_words() -> None:
    engine = fake("x")
    scores = await engine.attribute("a bee, sees", 2, "yes")
    assert [(token.text, token.start, token.end) for token in scores] == [
        ("bee,", 2, 6),
        ("sees", 7, 11),
    ]
    assert all(-1 <= token.score < 1 for token in scores)
    assert scores == await engine.attribute("a bee, sees", 2, "yes")
    assert await engine.nearest("ice", 2) == ["ice1", "ice2"]


async def test_scores_are_negative_deterministic_and_differ() -> None:
    engine = fake("x")
    scores = await engine.score("q", ["A", "B"])
    assert scores == await engine.score("q", ["A", "B"])
    assert scores[0] != scores[1]
    assert all(score.logprob < 0 for score in scores)


@pytest.mark.parametrize(
    ("args", "message"),
    [
        ({"answer": ["x"]}, "did you mean 'answers'"),
        ({"latency": -1}, "args.latency: found -1, expected at least 0"),
        ({"answers": []}, "args.answers"),
        ({"answers": [{"match": "(", "reply": "x"}]}, "not a regular expression"),
        ({"answers": [{"match": "x", "reply": []}]}, "at least one reply"),
        ({"classes": [{"match": "x", "probabilities": {"a": 0.5}}]}, "add up to 0.5, expected 1"),
        ({"labels": ["one"]}, "args.labels"),
    ],
)
def test_wrong_args_are_reported(args: dict[str, Any], message: str) -> None:
    with pytest.raises(EngineSetupError, match=message):
        FakeEngine(EngineSpec("e", "m", backend="fake", args=args))


async def test_a_scripted_thought_has_a_budget_and_a_switch() -> None:
    script = {"text": "yes", "thinking": "one two  three four"}
    engine = fake({"match": "q", "reply": script})
    sampling = Sampling(thinking=Thinking("on", 3))
    (answer,) = await engine.generate(Request("q", sampling))
    assert (answer.thinking, answer.thinking_tokens) == ("one two  three", 3)
    assert answer.output_tokens == 4
    (silent,) = await engine.generate(Request("q", Sampling(thinking=Thinking("off"))))
    assert (silent.thinking, silent.output_tokens) == (None, 1)
