"""Self-consistency: the majority of several sampled answers, through an engine.

Knows engines by their protocol, and nothing of how a student was trained.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from raygen.core import read_json_object
from raygen.engines import Engine, EngineSpec, Request, RequestRefusedError
from raygen.engines import Sampling as EngineSampling
from streamtrain.config import Kind
from streamtrain.data import user_turn
from streamtrain.evaluation.predictions import PromptFormat
from streamtrain.evaluation.with_engine import default_backend, with_started_engine
from streamtrain.heldout import Prediction, Question, majority_vote

_IN_FLIGHT = 128

EngineName = Literal["vllm", "transformers"]


@dataclass(frozen=True, slots=True)
class Samples:
    """How many samples answer a question, their temperature, and the seed of the first question."""

    count: int
    temperature: float = 0.7
    seed: int = 0


def predict_by_vote(
    student: Path,
    questions: Sequence[Question],
    how: PromptFormat,
    samples: Samples,
    backend: EngineName,
) -> list[Prediction]:
    """Answer each of `questions` by majority vote of the student in the folder `student`.

    `how` is the format of the prompts, `samples` how many answers are drawn for each question,
    `backend` the engine that draws them, on a GPU if there is one. Raises InputError if no engine
    can run the student.
    """

    import torch

    gpus = int(torch.cuda.is_available())
    spec = EngineSpec("student", str(student), backend=backend, gpus=gpus)
    return with_started_engine(
        spec,
        lambda engine: vote_with(engine, questions, how, samples),
        f"can't sample from {student}",
    )


async def vote_with(
    engine: Engine, questions: Sequence[Question], how: PromptFormat, samples: Samples
) -> list[Prediction]:
    """Answer each question by majority vote on an engine; a prompt that it refuses gets no answer.

    Raises EngineError.
    """
    free = asyncio.Semaphore(_IN_FLIGHT)

    async def answer(number: int, question: Question) -> Prediction:
        sampling = EngineSampling(
            n=samples.count,
            temperature=samples.temperature,
            max_tokens=how.data.max_target,
            seed=samples.seed + number,
        )
        prompt = how.prompt(question)
        message = user_turn(prompt) if how.data.chat else prompt
        async with free:
            try:
                texts = await engine.generate(Request(message, sampling))
            except RequestRefusedError:
                return Prediction(None, unread=samples.count)
        return majority_vote(
            [how.parse(text.text, question) for text in texts], len(question.choices)
        )

    return await asyncio.gather(*(answer(*numbered) for numbered in enumerate(questions)))


def engine_for(student: Path, kind: Kind) -> EngineName:
    """Choose vLLM if it is installed and can run the student, else transformers; vLLM runs no
    encoder, and no adapter with new tokens. Raises UserError for settings that can't be read."""
    if kind == "seq2seq":
        return "transformers"
    adapter = student / "adapter_config.json"
    if adapter.is_file():
        settings = read_json_object(adapter, "the settings that peft's save_pretrained writes")
        if settings.get("trainable_token_indices"):
            return "transformers"
    return default_backend()
