"""Any OpenAI-compatible endpoint as an engine.

Knows nothing of connections and retries (endpoint), of the JSON that travels (openai_wire) or of
when to slow down (limit). Plain aiohttp lies below, because the official client costs more than
the answer of a small model.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

from yarl import URL

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
from raygen.engines.openai.endpoint import Endpoint
from raygen.engines.openai.reply import BadReplyError, parse_completions, parse_scores
from raygen.engines.openai.wire import (
    Dialect,
    DialectError,
    Format,
    derived_seed,
    request_body,
    score_body,
)

log = logging.getLogger(__name__)

_WEAKER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "text"}
_NO_LIST = frozenset({400, 404, 405, 501})


class OpenAIEngine:
    """A model behind an endpoint. It learns the endpoint's dialect from its first refusals."""

    def __init__(self, spec: EngineSpec, first_wait: float = 0.5) -> None:
        """`first_wait`: seconds before the first retry of a failed attempt."""
        args = parse_args(spec, OpenAIArgs)
        self._model = spec.model
        self._endpoint = Endpoint(spec.name, args, first_wait)
        self._where = self._endpoint.where
        self._chat = URL(f"{args.base_url}/chat/completions")
        self._plain = URL(f"{args.base_url}/completions")
        self._models = URL(f"{args.base_url}/models")
        self._one_each = False
        self._dialect = Dialect()
        self._formats: dict[str, Format] = {}

    @classmethod
    async def start(cls, spec: EngineSpec, first_wait: float = 0.5) -> Self:
        """Reach the endpoint once, so that a wrong address or key is told before any row starts.

        An endpoint that keeps no list of models passes. Raises EngineSetupError or
        EngineUnavailableError.
        """
        engine = cls(spec, first_wait)
        try:
            await engine._endpoint.send(engine._models, None, lambda _: None, _NO_LIST)
        except BaseException:
            await engine.close()
            raise
        return engine

    async def generate(self, request: Request) -> list[Completion]:
        """Return `n` completions of one request; of several where the server answers one at a time.

        Completion k > 0 of its own request has a seed derived from the request's seed and k.
        """
        wanted = request.sampling.n
        first = await self._ask(request, 1 if self._one_each else wanted, 0)
        if len(first) >= wanted:
            return first[:wanted]
        if len(first) == 1 and not self._one_each:
            self._one_each = True
            log.info("%s gives one choice per request: n requests for n choices", self._where)
        tasks = [
            asyncio.ensure_future(self._ask(request, 1, index))
            for index in range(len(first), wanted)
        ]
        try:
            rest = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        shared = first[0].prompt_tokens
        return first + [replace(answers[0], prompt_tokens=shared) for answers in rest]

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Return log-probabilities by echo, which few servers offer (vLLM does): else
        EngineSetupError."""
        if not isinstance(prompt, str):
            raise EngineSetupError(
                f"{self._where} can't score a chat prompt: only the server knows its template; "
                "use a plain prompt, or the vllm backend"
            )
        body = json.dumps(score_body(self._model, prompt, candidates)).encode()
        try:
            reply = await self._endpoint.send(self._plain, body, json.loads)
            return parse_scores(reply, prompt, candidates)
        except (BadReplyError, DialectError) as error:
            raise self._cannot_score(str(error)) from None
        except RequestRefusedError as error:
            if error.reason != "bad_request":
                raise
            raise self._cannot_score(error.detail) from None

    async def close(self) -> None:
        """Close the connections."""
        await self._endpoint.close()

    def _cannot_score(self, detail: str) -> EngineSetupError:
        return EngineSetupError(
            f"{self._where} gives no log-probabilities of a prompt (echo with logprobs on "
            f"/completions: {detail}); use the vllm backend, or a vLLM server, for this op"
        )

    async def _ask(self, request: Request, n: int, index: int) -> list[Completion]:
        """Return the completions of one POST, said in the dialect that the endpoint takes."""
        seed = derived_seed(request.sampling.seed, index)
        part = replace(request, sampling=replace(request.sampling, n=n, seed=seed))
        url = self._plain if isinstance(request.prompt, str) else self._chat
        schema = json.dumps(request.schema, sort_keys=True)
        while True:
            dialect = replace(self._dialect, format=self._formats.get(schema, "json_schema"))
            body = json.dumps(request_body(self._model, part, dialect)).encode()
            try:
                answers = await self._endpoint.send(url, body, _read)
                assert answers is not None  # noqa: S101 - no status passes without an answer
                return answers
            except DialectError as error:
                if error.what == "n" and part.sampling.n > 1:
                    self._one_each = True
                    part = replace(part, sampling=replace(part.sampling, n=1))
                elif error.what == "format" and request.schema and dialect.format in _WEAKER:
                    self._formats[schema] = _WEAKER[dialect.format]
                elif error.what == "logprobs" and dialect.logprobs:
                    self._dialect = replace(self._dialect, logprobs=False)
                elif error.what == "max_tokens" and dialect.limit_key == "max_tokens":
                    self._dialect = replace(self._dialect, limit_key="max_completion_tokens")
                else:
                    raise RequestRefusedError("bad_request", str(error)) from None
                log.info("%s: said otherwise from now on", error)


def _read(raw: bytes) -> list[Completion]:
    reply: Any = json.loads(raw)
    return parse_completions(reply)
