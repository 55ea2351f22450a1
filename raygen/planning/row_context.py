"""RowContext: what an op may use while it runs on one row, and the record of its calls.

A call that is recorded already is answered from the record, and of samples only those are asked for
that aren't there. Knows nothing of graphs: it is bound to
one node, one row and the plan's engines.
"""

from __future__ import annotations

import json
import math
import sys
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Any

from raygen.checks import How, Verdict, decide
from raygen.core import Row, Task, derive_seed
from raygen.dataset import (
    GENERATE,
    Call,
    RecordedCalls,
    call_id,
    part_of_call,
    sample_seed,
    samples_id,
)
from raygen.engines import (
    Attributor,
    Classifier,
    Completion,
    Engine,
    EngineSetupError,
    EngineSpec,
    Message,
    Prompt,
    Request,
    Sampling,
    Score,
    TokenPredictor,
    TokenScore,
    TopTokens,
    model_name,
    split_thinking,
)
from raygen.ops import Context
from raygen.ops.common import SamplingParams
from raygen.planning.plan import Node, Plan
from raygen.planning.shared_calls import SharedCalls


@dataclass(frozen=True, slots=True)
class RowContext(Context):
    """The Context of one op on one row: its engines, its seeds, its transcript.

    `record` takes each engine call as it is answered; `answers` are those of earlier transcripts.
    """

    plan: Plan
    engines: Mapping[str, Engine]
    running: Node
    row: Row
    record: Callable[[Call], None]
    answers: RecordedCalls
    shared: SharedCalls = field(default_factory=SharedCalls)
    is_shared: bool = False
    """Whether its calls are those of all rows made of the source row."""

    @property
    def node(self) -> str:
        return self.running.name

    @property
    def task(self) -> Task:
        return self.plan.task

    def seed(self, k: int = 0) -> int:
        row = Row(self.row.key, {}) if self.is_shared else self.row
        return derive_seed(row, self.running.name, k)

    def once(self) -> RowContext:
        return replace(self, is_shared=True)

    def teacher(self, engine: str | None = None) -> str:
        spec = self._spec(engine)
        return model_name(spec.model, spec.revision)

    async def generate(
        self,
        prompt: Prompt,
        sampling: Sampling,
        schema: Mapping[str, Any] | None = None,
        *,
        engine: str | None = None,
    ) -> list[Completion]:
        settings = sampling.settings()
        if schema:
            settings["schema"] = schema
        request = self._request(engine, GENERATE, prompt, settings)
        return await self._once(request, lambda: self._generate(request, sampling, schema))

    async def _generate(
        self, request: _CallRequest, sampling: Sampling, schema: Mapping[str, Any] | None
    ) -> list[Completion]:
        """Take what samples are recorded, and ask for the others."""
        samples = self.answers.take_samples(
            request.samples_id, sampling.seed, sampling.n, self._older_seed(sampling.seed)
        )
        answers: list[Completion] = []
        for _, part in groupby(samples, key=lambda sample: sample and id(sample.call)):
            taken = list(part)
            if (first := taken[0]) is None:
                answers += await self._sample(request, sampling, len(answers), len(taken), schema)
            else:
                call = part_of_call(first.call, first.index, len(taken))
                answers += self._reuse(call, request.spec)
        return answers

    def _older_seed(self, seed: int | None) -> int | None:
        """Return the seed of a request as raygen 0.1.0 made it; None where that was the same."""
        params = self.running.params
        return params.older_seed(seed) if isinstance(params, SamplingParams) else None

    async def _sample(
        self,
        request: _CallRequest,
        sampling: Sampling,
        first: int,
        n: int,
        schema: Mapping[str, Any] | None,
    ) -> list[Completion]:
        """Ask for n samples of a request, from its `first` on."""
        seed = sample_seed(sampling.seed, first)
        part = replace(request, settings={**request.settings, "n": n, "seed": seed})
        asked = Request(request.prompt, replace(sampling, n=n, seed=seed), schema)

        async def ask() -> list[Completion]:
            raw = await self.engines[request.spec.name].generate(asked)
            return [_split_thinking(completion) for completion in raw]

        return await self._ask(part, ask)

    async def score(
        self, prompt: Prompt, candidates: Sequence[str], *, engine: str | None = None
    ) -> list[Score]:
        settings = {"candidates": list(candidates)}
        request = self._request(engine, "score", prompt, settings)

        async def ask() -> list[Completion]:
            scores = await self.engines[request.spec.name].score(prompt, candidates)
            return [
                Completion(text, "score", score.read, score.tokens, score.logprob)
                for text, score in zip(candidates, scores, strict=True)
            ]

        answers = await self._answered(request, ask)
        return [Score(a.logprob or 0.0, a.output_tokens, a.prompt_tokens) for a in answers]

    async def top_tokens(
        self, prompt: Prompt, text: str, k: int, *, engine: str | None = None
    ) -> TopTokens:
        request = self._request(engine, "top_tokens", prompt, {"text": text, "k": k})
        reader = self.engines[request.spec.name]
        if not isinstance(reader, TokenPredictor):
            spec = request.spec
            raise EngineSetupError(
                f"engine {spec.name!r}: {spec.backend} doesn't show the tokens of {spec.model}"
            )

        async def ask() -> list[Completion]:
            top = await reader.top_tokens(prompt, text, k)
            return [Completion(json.dumps(_plain(top)), "top_tokens", top.read, len(top.tokens))]

        (answer,) = await self._answered(request, ask)
        return _top_tokens(json.loads(answer.text))

    async def classify(self, text: str, *, engine: str | None = None) -> dict[str, float]:
        request = _CallRequest(self._spec(engine), "classify", text, {})
        classifier = self.engines[request.spec.name]
        if not isinstance(classifier, Classifier):
            spec = request.spec
            raise EngineSetupError(f"engine {spec.name!r}: {spec.model} is no classifier")

        async def ask() -> list[Completion]:
            chances = await classifier.classify(text)
            return [
                Completion(label, "classify", logprob=math.log(max(chance, sys.float_info.min)))
                for label, chance in chances.items()
            ]

        answers = await self._answered(request, ask)
        return {answer.text: math.exp(answer.logprob or 0.0) for answer in answers}

    async def attribute(
        self, text: str, start: int, target: str, *, engine: str | None = None
    ) -> list[TokenScore]:
        return await self._attributor(engine).attribute(text, start, target)

    async def nearest(self, word: str, k: int, *, engine: str | None = None) -> list[str]:
        return await self._attributor(engine).nearest(word, k)

    async def check(self, answer: Any, gold: Any, how: How, options: Sequence[str] = ()) -> Verdict:
        return await decide(answer, gold, how, options)

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

    def _request(
        self, engine: str | None, kind: str, prompt: Prompt, settings: Mapping[str, Any]
    ) -> _CallRequest:
        """Make a request; what the engine's chat template takes is part of that of a chat."""
        spec = self._spec(engine)
        if spec.template_args and not isinstance(prompt, str):
            settings = {**settings, "template_args": dict(spec.template_args)}
        return _CallRequest(spec, kind, prompt, settings)

    async def _answered(
        self, request: _CallRequest, ask: Callable[[], Awaitable[list[Completion]]]
    ) -> list[Completion]:
        """Answer from the record, else by the engine; both are equal."""

        async def answer() -> list[Completion]:
            recorded = self.answers.take(request.id)
            if recorded is not None:
                return self._reuse(recorded, request.spec)
            return await self._ask(request, ask)

        return await self._once(request, answer)

    async def _once(
        self, request: _CallRequest, ask: Callable[[], Awaitable[list[Completion]]]
    ) -> list[Completion]:
        return await (self.shared.answer(request.id, ask) if self.is_shared else ask())

    def _reuse(self, recorded: Call, spec: EngineSpec) -> list[Completion]:
        """Answer by a recorded call, and record it again."""
        call = replace(recorded, node=self.node, row=self.row.id, engine=spec.name, reused=True)
        self.record(call)
        return [Completion(**answer) for answer in json.loads(recorded.completions)]

    async def _ask(
        self, request: _CallRequest, ask: Callable[[], Awaitable[list[Completion]]]
    ) -> list[Completion]:
        """Answer by the engine, and record the call."""
        started = time.monotonic()
        answers = await ask()
        # Samples share one prompt; what is scored was read, each text by itself, and is no output.
        generated = request.kind == GENERATE
        read = [answer.prompt_tokens for answer in answers]
        call = Call(
            id=request.id,
            node=self.node,
            row=self.row.id,
            engine=request.spec.name,
            model=request.spec.model,
            revision=request.spec.revision,
            kind=request.kind,
            prompt=request.text,
            sampling=json.dumps(request.settings, ensure_ascii=False),
            completions=json.dumps([_written(answer) for answer in answers], ensure_ascii=False),
            prompt_tokens=sum(read[:1]) if generated else sum(read),
            output_tokens=sum(answer.output_tokens for answer in answers) if generated else 0,
            seconds=time.monotonic() - started,
        )
        self.record(call)
        return answers


@dataclass(frozen=True, slots=True)
class _CallRequest:
    """One call as the engine gets it."""

    spec: EngineSpec
    kind: str
    prompt: Prompt
    settings: Mapping[str, Any]

    @property
    def text(self) -> str:
        """The prompt as in transcripts: a chat as JSON."""
        if isinstance(self.prompt, str):
            return self.prompt
        return json.dumps([_plain(message) for message in self.prompt])

    @property
    def id(self) -> str:
        """The hash of all that the engine gets."""
        spec = self.spec
        return call_id(
            self.kind, spec.model, spec.revision, self.text, self.settings, chat=self._is_chat
        )

    @property
    def samples_id(self) -> str:
        """The hash of all that decides a sample, but its seed."""
        spec = self.spec
        return samples_id(spec.model, spec.revision, self.text, self.settings, chat=self._is_chat)

    @property
    def _is_chat(self) -> bool:
        return not isinstance(self.prompt, str)


_LATER_FIELDS: Mapping[str, Any] = {
    "thinking_tokens": 0,
    "counted_by": "backend",
    "cached_tokens": None,
    "cost": None,
}
"""Fields of a completion that version 0.1.0 didn't have, left out where they are unset."""


def _top_tokens(recorded: Mapping[str, Any]) -> TopTokens:
    positions = {name: tuple(map(tuple, recorded[name])) for name in ("ids", "logprobs")}
    return TopTokens(**{**recorded, **positions, "tokens": tuple(recorded["tokens"])})


def _plain(record: Completion | Message | TopTokens) -> dict[str, Any]:
    """Map a record's fields by name; dataclasses.asdict copies deeply, and this runs per call."""
    return {name: getattr(record, name) for name in record.__slots__}


def _written(completion: Completion) -> dict[str, Any]:
    """Map a completion as transcripts hold it: raygen 0.1.0, which reads them too, doesn't know the
    later fields."""
    values = _plain(completion)
    for name, default in _LATER_FIELDS.items():
        if values[name] == default:
            del values[name]
    return values


def _split_thinking(completion: Completion) -> Completion:
    """Move the thinking out of a completion's text, and count it; an engine may have done so."""
    thinking, text = split_thinking(completion.text)
    if thinking is not None:
        thinking = completion.thinking or thinking
        completion = replace(completion, text=text, thinking=thinking)
    if not completion.thinking or completion.thinking_tokens:
        return completion
    # Nobody counted its tokens: they are shared out by characters.
    share = len(completion.thinking) / (len(completion.thinking) + len(completion.text))
    return replace(completion, thinking_tokens=round(share * completion.output_tokens))
