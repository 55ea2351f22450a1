"""RowContext: what an op may use while it runs on one row, and the record of what it asked.

Knows nothing of graphs: it is bound to one node, one row and the plan's engines.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from raygen.dataset.tables import Call
from raygen.engines.base import (
    Attributor,
    Classifier,
    Completion,
    Engine,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Request,
    Sampling,
    Score,
    TokenScore,
)
from raygen.engines.thinking import split_thinking
from raygen.plan import Node, Plan
from raygen.row import Row, derive_seed, digest
from raygen.task import Task


@dataclass(frozen=True, slots=True)
class RowContext:
    """The Context of one op on one row: its engines, its seeds, its transcript.

    `record` takes each engine call as it is answered.
    """

    plan: Plan
    engines: Mapping[str, Engine]
    running: Node
    row: Row
    record: Callable[[Call], None]

    @property
    def node(self) -> str:
        return self.running.name

    @property
    def task(self) -> Task:
        return self.plan.task

    def seed(self, k: int = 0) -> int:
        return derive_seed(self.row, self.running.name, k)

    def teacher(self, engine: str | None = None) -> str:
        spec = self._spec(engine)
        return f"{spec.model}@{spec.revision}" if spec.revision else spec.model

    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        schema: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> list[Completion]:
        request = Request(prompt, sampling, schema)
        settings = {**asdict(sampling), "schema": schema} if schema else asdict(sampling)
        spec = self._spec(engine)
        started = time.monotonic()
        raw = await self.engines[spec.name].generate(request)
        completions = [_apart(completion) for completion in raw]
        self._record(spec, "generate", prompt, settings, completions, time.monotonic() - started)
        return completions

    async def score(
        self, prompt: Prompt, candidates: Sequence[str], *, engine: str | None = None
    ) -> list[Score]:
        spec = self._spec(engine)
        started = time.monotonic()
        scores = await self.engines[spec.name].score(prompt, candidates)
        answers = [
            Completion(text, "score", output_tokens=0, logprob=score.logprob)
            for text, score in zip(candidates, scores, strict=True)
        ]
        settings = {"candidates": list(candidates)}
        self._record(spec, "score", prompt, settings, answers, time.monotonic() - started)
        return scores

    async def classify(self, text: str, *, engine: str | None = None) -> dict[str, float]:
        spec = self._spec(engine)
        classifier = self.engines[spec.name]
        if not isinstance(classifier, Classifier):
            raise EngineSetupError(f"engine {spec.name!r}: {spec.model} is no classifier")
        started = time.monotonic()
        chances = await classifier.classify(text)
        answers = [
            Completion(label, "classify", logprob=math.log(max(chance, sys.float_info.min)))
            for label, chance in chances.items()
        ]
        self._record(spec, "classify", text, {}, answers, time.monotonic() - started)
        return chances

    async def attribute(
        self, text: str, start: int, target: str, *, engine: str | None = None
    ) -> list[TokenScore]:
        return await self._attributor(engine).attribute(text, start, target)

    async def nearest(self, word: str, k: int, *, engine: str | None = None) -> list[str]:
        return await self._attributor(engine).nearest(word, k)

    def _attributor(self, engine: str | None) -> Attributor:
        spec = self._spec(engine)
        attributor = self.engines[spec.name]
        if not isinstance(attributor, Attributor):
            raise EngineSetupError(
                f"engine {spec.name!r}: {spec.backend} can't look into {spec.model}; "
                "use backend: transformers"
            )
        return attributor

    def _spec(self, engine: str | None) -> EngineSpec:
        name = engine or self.running.engine
        if name is None:
            raise EngineSetupError(f"node {self.node!r} has no engine, but its op asks for one")
        return self.plan.engines[name]

    def _record(
        self,
        spec: EngineSpec,
        kind: str,
        prompt: Prompt,
        settings: Mapping[str, Any],
        answers: Sequence[Completion],
        seconds: float,
    ) -> None:
        text = prompt if isinstance(prompt, str) else json.dumps([asdict(m) for m in prompt])
        sampling = json.dumps(settings, ensure_ascii=False)
        call = Call(
            id=digest(kind, spec.model, spec.revision, text, isinstance(prompt, str), settings),
            node=self.node,
            row=self.row.id,
            engine=spec.name,
            model=spec.model,
            revision=spec.revision,
            kind=kind,
            prompt=text,
            sampling=sampling,
            completions=json.dumps([asdict(answer) for answer in answers], ensure_ascii=False),
            prompt_tokens=answers[0].prompt_tokens if answers else 0,
            output_tokens=sum(answer.output_tokens for answer in answers),
            seconds=seconds,
        )
        self.record(call)


def _apart(completion: Completion) -> Completion:
    """The completion with its thoughts out of its text; an engine may have parted them already."""
    thinking, text = split_thinking(completion.text)
    if thinking is None:
        return completion
    return replace(completion, text=text, thinking=completion.thinking or thinking)
