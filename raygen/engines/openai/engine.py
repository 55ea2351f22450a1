"""Any OpenAI-compatible endpoint as an engine.

Knows nothing of connections and retries (`endpoint`), of what refusals mean (`asking`), of the JSON
that is sent (`wire`) or of when to slow down (`admission`). It stands on plain aiohttp, because the
official client costs more than the answer of a small model.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

from raygen.dataset import BatchLog
from raygen.engines.args import OpenAIArgs, parse_args
from raygen.engines.base import (
    Completion,
    EngineSetupError,
    EngineSpec,
    Prompt,
    Request,
    RequestRefusedError,
    Score,
)
from raygen.engines.batches import USUAL_TIMING, BatchQueue, BatchTarget, Timing
from raygen.engines.openai.asking import MAX_REPLY_BYTES, Asker
from raygen.engines.openai.batches import EndpointBatches
from raygen.engines.openai.chat_scores import ChatScores, read_first_token
from raygen.engines.openai.endpoint import Endpoint
from raygen.engines.openai.refusals import RefusalError
from raygen.engines.openai.reply import BadReplyError, parse_completions, parse_scores
from raygen.engines.openai.thinking import going_on, joined, with_thinking
from raygen.engines.openai.unpacking import unpack_reply
from raygen.engines.openai.wire import derived_seed, score_body

BYTES_PER_BYTE = 64
"""A reply with scores may have so many bytes more for each byte that it has to echo."""


_PATHS = ("chat/completions", "completions")


class OpenAIEngine:
    """A model behind an endpoint, whose dialect it learns from the first refusals."""

    def __init__(
        self,
        spec: EngineSpec,
        first_wait: float = 0.5,
        record: BatchLog | None = None,
        timing: Timing = USUAL_TIMING,
    ) -> None:
        """`first_wait`: seconds before the first retry of a failed attempt.

        `record` keeps what is sent as batches, with `mode: batch`; `timing` is that of these.
        """
        args = parse_args(spec, OpenAIArgs)
        self._model = spec.model
        self._endpoint = Endpoint(spec.name, args, first_wait)
        self._where = self._endpoint.where
        self._thinking = args.thinking_form
        self._template_args = spec.template_args
        self._batches: dict[str, BatchQueue] = {}
        if args.mode == "batch" and record is not None:
            for path in _PATHS:
                target = BatchTarget(spec.name, args.base_url, f"/{path}", spec.model)
                service = EndpointBatches(self._endpoint, f"/{path}")
                self._batches[path] = BatchQueue(service, record, target, timing)
        self._asker = Asker(self._endpoint, spec, args.strict, self._read, self._batches)
        first_token = Asker(self._endpoint, spec, strict=False, read=read_first_token)
        self._chat_scores = ChatScores(self._where, first_token.ask, self.generate)

    @classmethod
    async def start(
        cls,
        spec: EngineSpec,
        first_wait: float = 0.5,
        record: BatchLog | None = None,
        timing: Timing = USUAL_TIMING,
    ) -> Self:
        """Reach the endpoint once, so that a wrong address ends the run before any row.

        Whatever it answers proves that it is there: many keep no list of models, or forbid it.
        Raises EngineSetupError or EngineUnavailableError.
        """
        engine = cls(spec, first_wait, record, timing)
        try:
            await engine._endpoint.reach(engine._endpoint.url("models"))
            for batches in engine._batches.values():
                await batches.start()
        except BaseException:
            await engine.close()
            raise
        return engine

    @property
    def notes(self) -> tuple[str, ...]:
        """What was learned of the endpoint so far, a sentence each."""
        return (*self._asker.notes, *self._chat_scores.notes)

    async def generate(self, request: Request) -> list[Completion]:
        """Return `n` completions: of one request, or of as many as the endpoint needs for them.

        A further request has the request's seed plus the number of its first completion. Where a
        thought took all tokens, another request goes on from it, if the endpoint can.
        """
        answers = await self._sample(with_thinking(request, self._thinking, self._template_args))
        return list(await asyncio.gather(*(self._finish(request, each) for each in answers)))

    async def _finish(self, request: Request, cut: Completion) -> Completion:
        further = going_on(request, cut, self._thinking)
        if further is None:
            return cut
        told = with_thinking(further, self._thinking, self._template_args)
        (answer,) = await self._sample(told)
        return joined(cut, answer)

    async def _sample(self, request: Request) -> list[Completion]:
        n = request.sampling.n
        done: list[list[Completion]] = []
        while (have := sum(map(len, done))) < n:
            most = self._asker.most or n
            starts = range(have, n, most)
            tasks = [asyncio.ensure_future(self._part(request, at, min(most, n - at)))
                     for at in starts]  # fmt: skip
            try:
                done += await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        # The samples share one prompt, which was read once in each request.
        read = sum(part[0].prompt_tokens for part in done)
        return [replace(answer, prompt_tokens=read) for part in done for answer in part][:n]

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Return log-probabilities by echo, which few servers offer (vLLM does): else
        EngineSetupError. After a chat, letters are scored as its first token."""
        if not isinstance(prompt, str):
            return await self._chat_scores.score(prompt, candidates)
        body = json.dumps(score_body(self._model, prompt, candidates)).encode()
        try:
            most = MAX_REPLY_BYTES + BYTES_PER_BYTE * len(body)
            reply = await self._endpoint.send(
                self._endpoint.url("completions"), body, json.loads, most
            )
            return parse_scores(reply, prompt, candidates)
        except BadReplyError as error:
            raise self._cannot_score(str(error)) from None
        except RefusalError as refusal:
            if refusal.reason != "bad_request":
                raise RequestRefusedError(refusal.reason, str(refusal)) from None
            raise self._cannot_score(str(refusal)) from None

    async def close(self) -> None:
        """Close the connections."""
        for batches in self._batches.values():
            await batches.close()
        await self._endpoint.close()

    def _cannot_score(self, detail: str) -> EngineSetupError:
        return EngineSetupError(
            f"{self._where} gives no log-probabilities of a prompt (echo with logprobs on "
            f"/completions: {detail}); use the vllm backend, or a vLLM server, for this op"
        )

    async def _part(self, request: Request, start: int, n: int) -> list[Completion]:
        """Return completions of one request, beginning with number `start` of all."""
        seed = derived_seed(request.sampling.seed, start)
        sampling = replace(request.sampling, n=n, seed=seed)
        return await self._asker.ask(replace(request, sampling=sampling))

    def _read(self, raw: bytes) -> list[Completion]:
        """Return the completions of a reply, without secrets. Raises BadReplyError, ValueError."""
        hide = self._endpoint.secrets.hide_in_answer
        answers = parse_completions(unpack_reply(raw))
        if all(answer.finish_reason == "error" for answer in answers):
            raise BadReplyError("the server broke the answer off")
        return [
            replace(
                answer,
                text=hide(answer.text),
                finish_reason=hide(answer.finish_reason),
                thinking=answer.thinking and hide(answer.thinking),
            )
            for answer in answers
        ]
