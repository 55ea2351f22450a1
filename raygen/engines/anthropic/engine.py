"""A model behind Anthropic's Messages API as an engine.

Knows nothing of the JSON that is sent (`wire`), of the client (`client`) or of when to slow down
and try again, which it shares with the other endpoints.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import Any, Self

import anthropic

from raygen.core import Secrets, digest, environment_secrets
from raygen.dataset import BatchLog
from raygen.engines.anthropic.batches import MessageBatches
from raygen.engines.anthropic.client import judge, make_client
from raygen.engines.anthropic.wire import (
    BadMessageError,
    Body,
    Part,
    message_body,
    parse_message,
    plain_reply,
)
from raygen.engines.args import AnthropicArgs, parse_args
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
from raygen.engines.openai import RetryableFailure, Retrying

log = logging.getLogger(__name__)

_REFUSED: tuple[tuple[Part, tuple[str, ...]], ...] = (
    ("sampling", ("temperature", "top_p", "top_k")),
    ("effort", ("effort",)),
    ("format", ("output_config", "output_format", "json_schema", "schema")),
    ("thinking", ("thinking", "budget_tokens")),
    ("cache", ("cache_control",)),
)
"""What a model may refuse, and the words that a refusal has for it."""

_CACHED_FROM = 4000
"""Characters of a prompt from which the API may cache it (1,024 tokens or more)."""


class AnthropicEngine:
    """A model that answers chats, and what it has been found not to take."""

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
        args = parse_args(spec, AnthropicArgs)
        self._model = spec.model
        self._variable = args.api_key_env
        self._strict = args.strict
        self._where = f"engine {spec.name!r} at {args.base_url}"
        self._client = make_client(args)
        self._secrets = Secrets((args.key, *environment_secrets()))
        self._retrying = Retrying(
            self._where, first_wait, args.max_concurrency, slow=args.timeout / 2
        )
        self._batches: BatchQueue | None = None
        if args.mode == "batch" and record is not None:
            target = BatchTarget(spec.name, args.base_url, "/v1/messages", spec.model)
            service = MessageBatches(self._client, self._send)
            self._batches = BatchQueue(service, record, target, timing)
        self._without: frozenset[Part] = frozenset()
        self.notes: list[str] = []
        """What was learned of the endpoint, a sentence each."""

    @classmethod
    async def start(
        cls,
        spec: EngineSpec,
        first_wait: float = 0.5,
        record: BatchLog | None = None,
        timing: Timing = USUAL_TIMING,
    ) -> Self:
        """Ask for the model once, so that a wrong address, key or name ends the run before any row.

        A gateway that keeps no list of models passes. Raises EngineSetupError or
        EngineUnavailableError.
        """
        engine = cls(spec, first_wait, record, timing)
        try:
            await engine._retrying.run(engine._look)
            if engine._batches is not None:
                await engine._batches.start()
        except BaseException:
            await engine.close()
            raise
        return engine

    async def generate(self, request: Request) -> list[Completion]:
        """Return `n` completions, of as many requests.

        Where the prompt is long enough to be cached, the others follow the first, and read what it
        has written. `prompt_tokens` is what all of them read together.
        """
        if isinstance(request.prompt, str):
            raise EngineSetupError(
                f"{self._where} answers chats and no completion prompts; set api: chat"
            )
        n = request.sampling.n
        is_short = sum(len(m.content) for m in request.prompt) < _CACHED_FROM
        ahead = n if is_short or self._batches is not None else 1
        answers: list[Completion] = []
        for several in filter(None, (ahead, n - ahead)):
            tasks = [asyncio.ensure_future(self._ask(request, k)) for k in range(several)]
            try:
                answers += await asyncio.gather(*tasks)
            finally:
                for task in tasks:
                    task.cancel()
        read = sum(answer.prompt_tokens for answer in answers)
        return [replace(answer, prompt_tokens=read) for answer in answers]

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Raise EngineSetupError: the API gives no log-probabilities."""
        raise EngineSetupError(
            f"{self._where} gives no log-probabilities; let the op vote, or use the vllm backend"
        )

    async def close(self) -> None:
        """Close the connections."""
        if self._batches is not None:
            await self._batches.close()
        await self._client.close()

    async def _ask(self, request: Request, k: int) -> Completion:
        """Ask for the k-th answer, without what the model has refused so far."""
        while True:
            without = self._without
            body = message_body(self._model, request, without)

            async def attempt(body: Body = body) -> Completion | RetryableFailure:
                return await self._attempt(body)

            try:
                if self._batches is not None:
                    return await self._ask_later(self._batches, body, request.sampling.seed, k)
                return await self._retrying.run(attempt)
            except RequestRefusedError as error:
                part = _refused_part(error, without)
                if part is None:
                    raise
                if self._strict and part != "cache":
                    raise EngineSetupError(
                        f"{error.detail}; args.strict is set: leave it out of the recipe, as with "
                        "`temperature: null`"
                    ) from None
                if part not in self._without:
                    self._without |= {part}
                    self.notes.append(f"warning: {error.detail}: left out from now on ({part})")
                    log.warning("%s", self.notes[-1])

    async def _ask_later(
        self, batches: BatchQueue, body: Body, seed: int | None, k: int
    ) -> Completion:
        """Ask for an answer in a batch. The API has no seeds: they tell equal requests apart."""
        params = {**body.params, **body.extra}
        request = digest("request", params, k if seed is None else seed + k)
        try:
            return self._without_secrets(parse_message(await batches.ask(request, params)))
        except BadMessageError as error:
            raise RequestRefusedError("bad_response", f"{self._where}: {error}") from None

    async def _send(self, call: Callable[[], Awaitable[Any]]) -> Any:
        """Make a call of the client until it succeeds."""

        async def attempt() -> Any:
            try:
                return await call()
            except anthropic.APIError as error:
                return judge(error, self._where, self._variable, self._secrets)

        return await self._retrying.run(attempt)

    async def _attempt(self, body: Body) -> Completion | RetryableFailure:
        try:
            reply = await self._client.messages.create(**body.params, extra_body=dict(body.extra))
            answer = parse_message(plain_reply(reply))
        except BadMessageError as error:
            return RetryableFailure("broken", f"{self._where} sent a bad reply: {error}")
        except anthropic.APIError as error:
            return judge(error, self._where, self._variable, self._secrets)
        return self._without_secrets(answer)

    def _without_secrets(self, answer: Completion) -> Completion:
        hide = self._secrets.hide_in_answer
        thinking = answer.thinking and hide(answer.thinking)
        return replace(answer, text=hide(answer.text), thinking=thinking)

    async def _look(self) -> RetryableFailure | None:
        try:
            await self._client.models.retrieve(self._model)
        except (anthropic.NotFoundError, anthropic.PermissionDeniedError) as error:
            if f"model: {self._model}" in error.message:
                judge(error, self._where, self._variable, self._secrets)
        except anthropic.APIError as error:
            return judge(error, self._where, self._variable, self._secrets)
        return None


def _refused_part(error: RequestRefusedError, without: frozenset[Part]) -> Part | None:
    """Return what a refusal is about, where the request can do without it."""
    if error.reason != "bad_request":
        return None
    words = error.detail.lower()
    for part, names in _REFUSED:
        if part not in without and any(name in words for name in names):
            return part
    return None
