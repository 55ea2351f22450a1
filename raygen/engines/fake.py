"""The fake engine: scripted answers with simulated latency, for tests, dry runs and benchmarks.

It runs no model and says so when it starts. It is never a default of a recipe.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Sequence
from typing import NoReturn

from raygen.engines.args import FakeArgs, FakeError, FakeReply, FakeRule, parse_args
from raygen.engines.base import (
    Completion,
    EngineDeadError,
    EngineSpec,
    EngineUnavailableError,
    Prompt,
    Request,
    RequestRefusedError,
    Sampling,
    Score,
)
from raygen.row import digest

log = logging.getLogger(__name__)


class FakeEngine:
    """Answers from `args.answers`: the same prompt, seed and index give the same text.

    The n completions of one request walk through the replies from a start that the prompt and the
    seed decide. A scripted `dead` fails every call in flight and every later one, as a crashed
    engine does. Tokens are words.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._name = spec.name
        self._args = parse_args(spec, FakeArgs)
        self._rules = [
            (re.compile(rule.match), rule.reply if isinstance(rule.reply, list) else [rule.reply])
            for rule in self._args.answers
            if isinstance(rule, FakeRule)
        ]
        self._plain = [text for text in self._args.answers if isinstance(text, str)]
        self._dead = False
        log.warning("engine %r is fake: its answers are scripted, no model runs", spec.name)

    async def generate(self, request: Request) -> list[Completion]:
        """The scripted completions, after the simulated latency."""
        text = _text(request.prompt)
        sampling = request.sampling
        replies = self._replies(text)
        start = _number(text, sampling.seed)
        chosen = [replies[(start + index) % len(replies)] for index in range(sampling.n)]
        answers = [_cut(reply, sampling) for reply in chosen if isinstance(reply, str)]
        longest = max((tokens for _, tokens, _ in answers), default=0)
        await self._wait(longest)
        for reply in chosen:
            if isinstance(reply, FakeError):
                self._fail(reply, text)
        prompt_tokens = len(text.split())
        return [
            Completion(answer, finish, prompt_tokens, tokens) for answer, tokens, finish in answers
        ]

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """A log-probability in [-10, 0) for each candidate, made from a hash of both texts."""
        text = _text(prompt)
        replies = self._replies(text) if self._rules else []
        await self._wait(0)
        for reply in replies:
            if isinstance(reply, FakeError):
                self._fail(reply, text)
        return [
            Score(-(1 + _number(text, candidate) % 10_000) / 1000, max(1, len(candidate.split())))
            for candidate in candidates
        ]

    async def close(self) -> None:
        """Nothing to free."""

    def _replies(self, text: str) -> Sequence[FakeReply]:
        for pattern, replies in self._rules:
            if pattern.search(text):
                return replies
        if not self._plain:
            raise RequestRefusedError(
                "bad_request", f"no rule of the fake engine {self._name!r} matches {text[:80]!r}"
            )
        return self._plain

    async def _wait(self, tokens: int) -> None:
        self._check_alive()
        rate = self._args.tokens_per_second
        await asyncio.sleep(self._args.latency + (tokens / rate if rate else 0.0))
        self._check_alive()

    def _check_alive(self) -> None:
        if self._dead:
            raise EngineDeadError(f"the fake engine {self._name!r} was killed by a scripted reply")

    def _fail(self, fault: FakeError, text: str) -> NoReturn:
        if fault.error == "dead":
            self._dead = True
            self._check_alive()
        if fault.error == "unavailable":
            raise EngineUnavailableError(f"the fake engine {self._name!r} is scripted to be away")
        raise RequestRefusedError("refused", f"scripted for the prompt {text[:80]!r}")


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)


def _number(text: str, salt: int | str | None) -> int:
    return int(digest("fake", text, salt)[:12], 16)


def _cut(reply: str, sampling: Sampling) -> tuple[str, int, str]:
    """The reply as a sampler would end it, its count of words, and why it ended."""
    ends = [at for stop in sampling.stop if (at := reply.find(stop)) >= 0]
    text = reply[: min(ends)] if ends else reply
    words = list(re.finditer(r"\S+", text))
    if len(words) > sampling.max_tokens:
        return text[: words[sampling.max_tokens - 1].end()], sampling.max_tokens, "length"
    return text, len(words), "stop"
