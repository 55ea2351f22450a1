"""Any OpenAI-compatible endpoint as an engine.

Knows nothing of connections and retries (`endpoint`), of the JSON that is sent (`wire`) or of when
to slow down (`admission`). It stands on plain aiohttp, because the official client costs more than
the answer of a small model.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Self

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

MAX_REPLY_BYTES = 2**24
BYTES_PER_TOKEN = 256
BYTES_PER_BYTE = 64
"""A reply may have so many bytes, and so many more for each token that it was asked for, with its
log-probability, or for each byte that it has to echo."""

_WEAKER: dict[Format, Format] = {"json_schema": "json_object", "json_object": "text"}
_NO_LIST = frozenset({400, 404, 405, 501})


class OpenAIEngine:
    """A model behind an endpoint, whose dialect it learns from the first refusals."""

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
        """Reach the endpoint once, so that a wrong address or key ends the run before any row.

        An endpoint that keeps no list of models passes. Raises EngineSetupError or
        EngineUnavailableError.
        """
        engine = cls(spec, first_wait)
        try:
            models = engine._models
            await engine._endpoint.send(models, None, lambda _: None, MAX_REPLY_BYTES, _NO_LIST)
        except (RequestRefusedError, DialectError) as error:
            await engine.close()
            raise EngineSetupError(f"{error}; correct args.base_url") from None
        except BaseException:
            await engine.close()
            raise
        return engine

    async def generate(self, request: Request) -> list[Completion]:
        """Return `n` completions of one request; of several where the server answers one at a time.

        Completion k of its own request has the request's seed plus k.
        """
        n = request.sampling.n
        first = await self._send(request, 1 if self._one_each else n, 0)
        if len(first) >= n:
            return first[:n]
        if len(first) == 1 and not self._one_each:
            self._one_each = True
            log.info("%s gives one choice per request: n requests for n choices", self._where)
        tasks = [
            asyncio.ensure_future(self._send(request, 1, index)) for index in range(len(first), n)
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
            most = MAX_REPLY_BYTES + BYTES_PER_BYTE * len(body)
            reply = await self._endpoint.send(self._plain, body, json.loads, most)
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

    async def _send(self, request: Request, n: int, index: int) -> list[Completion]:
        """Return the completions of one POST, in the dialect that the endpoint takes."""
        seed = derived_seed(request.sampling.seed, index)
        part = replace(request, sampling=replace(request.sampling, n=n, seed=seed))
        url = self._plain if isinstance(request.prompt, str) else self._chat
        schema = json.dumps(request.schema, sort_keys=True)
        most = MAX_REPLY_BYTES + BYTES_PER_TOKEN * n * request.sampling.max_tokens
        while True:
            dialect = replace(self._dialect, format=self._formats.get(schema, "json_schema"))
            body = json.dumps(request_body(self._model, part, dialect)).encode()
            try:
                answers = await self._endpoint.send(url, body, self._read, most)
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
                log.info("%s: worded otherwise from now on", error)

    def _read(self, raw: bytes) -> list[Completion]:
        """Return the completions of a reply, without secrets. Raises BadReplyError, ValueError."""
        hide = self._endpoint.secrets.hide_in_answer
        return [
            replace(
                answer,
                text=hide(answer.text),
                finish_reason=hide(answer.finish_reason),
                thinking=answer.thinking and hide(answer.thinking),
            )
            for answer in parse_completions(json.loads(raw))
        ]
