"""Ask an endpoint in the words that it takes, and find out what its refusals mean.

A refusal that names a setting is asked again without it; what is taken so holds for all requests
from then on. Any other refusal is judged by a control question, the same settings with a prompt of
a few words: where that is answered, the request alone is at fault, else every request would be
refused, and the run ends. Knows nothing of connections or of how many choices a caller wants.
"""

from __future__ import annotations

import asyncio
import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from yarl import URL

from raygen.core import digest
from raygen.engines.base import (
    Completion,
    EngineError,
    EngineSetupError,
    EngineSpec,
    EngineUnavailableError,
    Request,
    RequestRefusedError,
)
from raygen.engines.batches import BatchQueue
from raygen.engines.openai.dialect import Dialect, Format, changes_answers, reworded
from raygen.engines.openai.endpoint import Endpoint
from raygen.engines.openai.refusals import RefusalError, refuses_everybody
from raygen.engines.openai.reply import BadReplyError, ErrorReplyError
from raygen.engines.openai.usage import UsageCounter
from raygen.engines.openai.wire import control_body, request_body

log = logging.getLogger(__name__)

MAX_REPLY_BYTES = 2**24
BYTES_PER_TOKEN = 256
"""A reply may have so many bytes, and so many more for each token that it was asked for, with its
log-probability."""

_OWN_IN_A_ROW = 8
"""So many refusals of a kind that was a request's own before, without an answer between them, are
judged anew."""

Read = Callable[[bytes], list[Completion]]


NO_BATCHES: Mapping[str, BatchQueue] = {}


class Asker:
    """Asks one endpoint for completions of one model. `notes` says what it learned, for people."""

    def __init__(
        self,
        endpoint: Endpoint,
        spec: EngineSpec,
        strict: bool,
        read: Read,
        batches: Mapping[str, BatchQueue] = NO_BATCHES,
    ) -> None:
        """Begin without knowing anything of the endpoint.

        Args:
            endpoint: where requests go.
            spec: the engine, with the model's name there.
            strict: whether a refused setting on which answers depend is an error.
            read: reads a reply.
            batches: the queues in which requests to a path (`chat/completions`) wait for a batch.
        """
        self.notes: list[str] = []
        self._endpoint = endpoint
        self._model = spec.model
        self._usage = UsageCounter(spec.model, spec.revision)
        self._strict = strict
        self._read = read
        self._batches = batches
        self._dialect = Dialect()
        self._formats: dict[str, Format] = {}
        self._judging = asyncio.Lock()
        self._answered_after = float("-inf")  # when the latest request that was answered was sent
        self._own_kinds: set[tuple[int, str, str]] = set()
        self._refused_in_a_row = 0
        self._ended: EngineError | None = None

    @property
    def most(self) -> int | None:
        """How many choices the endpoint gives in one request; None while it gives all."""
        return self._dialect.most

    async def ask(self, request: Request) -> list[Completion]:
        """Return the completions of one POST, which may be fewer than `n`.

        Raises RequestRefusedError where this request is refused, and EngineSetupError or
        EngineUnavailableError where every request is.
        """
        if self._batches:
            return await self._ask(request)
        first = self._endpoint.retrying.first_alone
        await first.enter()
        try:
            return await self._ask(request)
        finally:
            first.leave()

    @property
    def _has_answered(self) -> bool:
        return self._answered_after > float("-inf")

    async def _ask(self, request: Request) -> list[Completion]:
        is_chat = not isinstance(request.prompt, str)
        path = "chat/completions" if is_chat else "completions"
        url = self._endpoint.url(path)
        schema = json.dumps(request.schema, sort_keys=True)
        if self._batches and not self._has_answered:
            await self._probe(url, request)
        begun = replace(self._dialect, format=self._formats.get(schema, "json_schema"))
        dialect = begun
        tried = {begun}
        while True:
            part = _at_most(request, dialect.most)
            body = request_body(self._model, part, dialect)
            try:
                answers = await self._post(path, body, part)
            except RefusalError as refusal:
                other = reworded(dialect, body, refusal) or await self._judge(url, body, refusal)
                if other is None or other in tried:
                    raise RequestRefusedError(refusal.reason, str(refusal)) from None
                log.info("%s; asked otherwise", refusal)
                tried.add(other)
                dialect = other
                continue
            if len(answers) < part.sampling.n:
                dialect = replace(dialect, most=len(answers))
            self._learn(request, begun, dialect)
            self._formats[schema] = dialect.format
            whole = [answer for answer in answers if answer.finish_reason != "error"]
            counted = self._usage.counted(request.prompt, whole)
            if self._usage.note:
                self._note(f"{self._endpoint.where} {self._usage.note}")
            return counted

    async def _probe(self, url: URL, request: Request) -> None:
        """Learn from a control question what requests may say, before they wait in a batch."""
        async with self._judging:
            if self._has_answered:
                return
            if self._ended is not None:
                raise self._ended
            body = request_body(self._model, request, self._dialect)
            other = await self._control(url, control_body(body), body)
            if other is not None:
                self._learn(request, self._dialect, other)

    async def _post(self, path: str, body: Mapping[str, Any], part: Request) -> list[Completion]:
        if (batches := self._batches.get(path)) is not None:
            name = digest("request", body, part.sampling.seed)
            reply = await batches.ask(name, body)
            try:
                return self._read(json.dumps(reply).encode())
            except (BadReplyError, ErrorReplyError) as error:
                where = self._endpoint.where
                raise RequestRefusedError("bad_response", f"{where}: {error}") from None
        most = MAX_REPLY_BYTES + BYTES_PER_TOKEN * part.sampling.n * part.sampling.max_tokens
        return await self._answered(self._endpoint.url(path), body, most)

    async def _answered(self, url: URL, body: Mapping[str, Any], most: int) -> list[Completion]:
        sent = time.monotonic()
        answers = await self._endpoint.send(url, json.dumps(body).encode(), self._read, most)
        self._answered_after = max(self._answered_after, sent)
        self._refused_in_a_row = 0
        return answers

    def _learn(self, request: Request, before: Dialect, after: Dialect) -> None:
        """Keep what a request that was taken had to say otherwise, and say so once."""
        known, self._dialect = self._dialect, self._dialect.with_learned(before, after)
        if known == self._dialect and before.format == after.format:
            return
        where = self._endpoint.where
        full = request_body(self._model, request, replace(before, left_out=known.left_out))
        for name in sorted(self._dialect.left_out - known.left_out):
            if not changes_answers(name, full.get(name)):
                self._note(f"{where} takes no {name!r}: it is left out")
                continue
            refused = f"{where} refuses {name!r} (here {full.get(name)!r})"
            if self._strict:
                raise EngineSetupError(
                    f"{refused}, and args.strict is set; leave it out of the recipe, as with "
                    f"`{name}: null`"
                )
            self._note(
                f"warning: {refused}: it is left out, and the endpoint's own value holds; "
                "`strict: true` in the engine's args makes this an error"
            )
        if known.limit_key != self._dialect.limit_key:
            self._note(f"{where} takes {self._dialect.limit_key!r} for {known.limit_key!r}")
        if known.most != self._dialect.most:
            self._note(
                f"{where} gives up to {self._dialect.most} of n answers in a request: it is asked "
                "again until all are there"
            )
        if before.format != after.format:
            self._note(f"{where} takes no {before.format}: it is asked for {after.format}")

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)
            log.warning("%s", text)

    async def _judge(
        self, url: URL, body: Mapping[str, Any], refusal: RefusalError
    ) -> Dialect | None:
        """Find out whose fault a refusal is. Return where it is this request's alone.

        Returns the dialect to ask in where a setting that the refusal doesn't name is at fault.
        Raises EngineSetupError or EngineUnavailableError where every request is refused.
        """
        arrived = time.monotonic()
        if refusal.reason != "bad_request" and self._has_answered:
            return None
        self._refused_in_a_row += 1
        async with self._judging:
            if self._ended is not None:
                raise self._ended
            is_known = refusal.kind in self._own_kinds and self._refused_in_a_row < _OWN_IN_A_ROW
            if self._answered_after <= arrived and not is_known:
                other = await self._control(url, control_body(body), body)
                if other is not None:
                    return other
            self._own_kinds.add(refusal.kind)
            return None

    async def _control(
        self, url: URL, control: dict[str, Any], body: Mapping[str, Any]
    ) -> Dialect | None:
        """Ask a control question in the request's settings, then in none of them."""
        refusal = await self._refusal(url, control)
        if refusal is None:
            return None
        settings = [name for name in control if name not in _NEEDED]
        bare = {name: value for name, value in control.items() if name in _NEEDED}
        may_be_settings = refusal.status in (400, 404, 422) and refusal.reason == "bad_request"
        if may_be_settings and settings and await self._refusal(url, bare) is None:
            return await self._without(url, control, settings)
        self._ended = await self._everybodys(url, body, refusal)
        raise self._ended

    async def _without(
        self, url: URL, control: dict[str, Any], settings: list[str]
    ) -> Dialect | None:
        """Find the settings without which a control question is taken, one after the other."""
        left_out: list[str] = []
        for name in sorted(settings, key=lambda name: changes_answers(name, control[name])):
            left_out.append(name)
            rest = {key: value for key, value in control.items() if key not in left_out}
            if await self._refusal(url, rest) is None:
                break
        for name in left_out[:-1]:
            fewer = [other for other in left_out if other != name]
            rest = {key: value for key, value in control.items() if key not in fewer}
            if await self._refusal(url, rest) is None:
                left_out = fewer
        most = 1 if "n" in left_out else self._dialect.most
        form: Format = "text" if "response_format" in left_out else "json_schema"
        names = frozenset(left_out) - {"response_format"}
        return replace(
            self._dialect, left_out=self._dialect.left_out | names, most=most, format=form
        )

    async def _refusal(self, url: URL, control: Mapping[str, Any]) -> RefusalError | None:
        """Ask a control question; return its refusal, None where it is answered."""
        try:
            await self._answered(url, control, MAX_REPLY_BYTES)
        except RefusalError as refusal:
            return refusal
        except RequestRefusedError as error:
            raise EngineUnavailableError(str(error)) from None
        return None

    async def _everybodys(
        self, url: URL, body: Mapping[str, Any], refusal: RefusalError
    ) -> EngineError:
        """Return the error that ends the run: every request is refused."""
        path = "chat/completions" if "messages" in body else "completions"
        if "prompt" in body and refusal.status not in (401, 402, 403, 429):
            chat = {name: body[name] for name in ("model", "max_tokens") if name in body}
            if (
                await self._refusal(self._endpoint.url("chat/completions"), control_body(chat))
                is None
            ):
                return EngineSetupError(
                    f"{refusal} to /{path}, but answers chats: set `api: chat` on the engine"
                )
        return refuses_everybody(refusal, self._endpoint.where, path)


_NEEDED = frozenset({"model", "messages", "prompt", "max_tokens", "max_completion_tokens"})


def _at_most(request: Request, most: int | None) -> Request:
    n = request.sampling.n if most is None else min(request.sampling.n, most)
    return replace(request, sampling=replace(request.sampling, n=n))
