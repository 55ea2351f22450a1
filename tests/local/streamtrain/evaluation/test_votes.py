"""A seq2seq student's vote: the plain majority of what the engine samples from its folder."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from raygen.engines.base import Completion, EngineSpec, Prompt, Request, Sampling
from raygen.engines.registry import start_engine
from streamtrain.cli.main import main
from streamtrain.evaluation.predictions import prompt_format, write_greedily
from streamtrain.evaluation.votes import Samples, engine_for, vote_with
from streamtrain.heldout.questions import Question
from streamtrain.models.student import save_final
from streamtrain.run.spec import RunSpec
from streamtrain.training.outcome import write_outcome
from streamtrain.training.progress import TrainProgress
from tests.local.streamtrain.models.test_seq2seq import config, family, rows, train_step

pytestmark = pytest.mark.usefixtures("one_thread")

QUESTIONS = [Question(r["question"].strip(), tuple(r["choices"]), r["answer"]) for r in rows(3)]
SETTINGS: dict[str, Any] = {"data": {"rationale": "none", "max_target": 40}}


@pytest.fixture(scope="module")
def run(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a T5 that has begun to learn how an answer looks."""
    out = tmp_path_factory.mktemp("run")
    model = family("t5", out, tiny_model)
    settings = config(model, **SETTINGS)
    made = train_step(settings)
    for number in range(80):
        made.step(rows(3), number, 1.0)
    write_outcome(
        RunSpec(settings, str(model), "d", out, None), made.student, TrainProgress({}), None
    )
    return out


def sampled(folder: Path, count: int) -> list[list[str]]:
    """What the folder's model writes to each question, asked of the engine by its own prompt."""
    how = prompt_format(config(folder, **SETTINGS).data)

    async def ask() -> list[list[str]]:
        engine = await start_engine(EngineSpec("s", str(folder), backend="transformers"))
        found = [
            await engine.generate(
                Request(how.prompt(question), Sampling(count, 0.7, max_tokens=40, seed=number))
            )
            for number, question in enumerate(QUESTIONS)
        ]
        await engine.close()
        return [[one.text for one in answers] for answers in found]

    return asyncio.run(ask())


def test_the_vote_is_the_majority_of_the_samples(run: Path, tmp_path: Path) -> None:
    held = tmp_path / "held.jsonl"
    held.write_text(
        "".join(
            json.dumps({"question": q.question, "choices": q.choices, "answer": q.answer}) + "\n"
            for q in QUESTIONS
        )
    )
    words = ["eval", str(run), "--data", str(held), "--samples", "9", "--json"]
    done = CliRunner().invoke(main, words)
    assert done.exit_code == 0, done.output
    found = json.loads(done.stdout)["predictions"]
    how = prompt_format(config(run / "final", **SETTINGS).data)
    seeds: set[int] = set()
    for question, texts, answer in zip(QUESTIONS, sampled(run / "final", 9), found, strict=True):
        read = [how.parse(text, question) for text in texts]
        counted = Counter(choice for choice in read if choice is not None)
        assert answer["votes"] == [counted[n] for n in range(3)]
        assert answer["unread"] == read.count(None)
        assert counted[answer["choice"]] == max(counted.values())
        seeds.update(counted)
    assert len(seeds) > 1, "the samples say all the same, so the test says nothing"


def test_an_adapter_writes_through_the_engine_what_its_student_writes(
    tiny_model: Path, tmp_path: Path
) -> None:
    settings = config(family("t5", tmp_path, tiny_model), tune={"method": "lora", "r": 4})
    made = train_step(settings)
    for _, parameter in made.student.trainable():
        torch.nn.init.normal_(parameter, std=0.3)
    save_final(made.student, tmp_path / "final")
    prompts = ["Where is it?", "Which of them is the right one, and why?"]
    made.student.model.eval()
    ids = [made.tokenizer.prompt(prompt)[0] for prompt in prompts]
    expected = write_greedily(made.student, ids, 20)

    async def ask() -> list[str]:
        spec = EngineSpec("s", str(tmp_path / "final"), backend="transformers")
        engine = await start_engine(spec)
        greedy = Sampling(max_tokens=20, temperature=0.0)
        found = [await engine.generate(Request(prompt, greedy)) for prompt in prompts]
        await engine.close()
        return [answers[0].text for answers in found]

    assert asyncio.run(ask()) == [text.rstrip("\ufffd") for text in expected]
    assert any(text.rstrip("\ufffd") for text in expected)


def test_an_encoder_is_not_for_vllm(run: Path, tmp_path: Path) -> None:
    assert engine_for(run / "final", "seq2seq") == "transformers"
    held = tmp_path / "held.jsonl"
    held.write_text(json.dumps({"question": "?", "choices": ["a", "b"], "answer": 0}) + "\n")
    words = ["--data", str(held), "--samples", "3", "--backend", "vllm"]
    done = CliRunner().invoke(main, ["eval", str(run), *words])
    assert done.exit_code == 2
    assert "vLLM runs no encoder" in done.stderr


class Listener:
    """A fake engine that keeps what it is asked."""

    def __init__(self) -> None:
        self.heard: list[Prompt] = []

    async def generate(self, request: Request) -> list[Completion]:
        self.heard.append(request.prompt)
        return [Completion("nothing")] * request.sampling.n

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Any]:
        raise NotImplementedError

    async def close(self) -> None: ...


async def test_the_student_gets_the_question_alone() -> None:
    """Neither the answer nor a rationale of the file reaches the prompt that it was trained on."""
    listener, how = Listener(), prompt_format(config(Path("m"), data={"rationale": "before"}).data)
    await vote_with(listener, QUESTIONS, how, Samples(2))
    for question, prompt in zip(QUESTIONS, listener.heard, strict=True):
        other = Question(question.question, question.choices, (question.answer + 1) % 3)
        assert prompt == how.prompt(other)
        assert question.question in str(prompt)
