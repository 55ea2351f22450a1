"""The fake engine: scripted answers with simulated latency, for tests, dry runs and benchmarks.

It runs no model and says so when it starts. It is never a default of a recipe.
"""

from __future__ import annotations

import asyncio
import logging
import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import NoReturn

import regex

from raygen.core import digest
from raygen.engines.args import FakeArgs, FakeError, FakeReply, FakeRule, FakeText, parse_args
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
    TokenScore,
    TopTokens,
)

log = logging.getLogger(__name__)

_MATCH_S = 1.0
"""Seconds that a recipe's pattern may take for one prompt; some take for ever."""


class FakeEngine:
    """Answers from `args.answers`: the same prompt, seed and index give the same text.

    The n completions of one request walk through the replies from a start that the prompt and the
    seed decide. A scripted `dead` fails every call in flight and every later one, as a crashed
    engine does. Tokens are words. What no script names (scores, probabilities, attributions,
    nearest words) is made of hashes.
    """

    def __init__(self, spec: EngineSpec) -> None:
        self._name = spec.name
        self._args = parse_args(spec, FakeArgs)
        self._rules = [
            (
                regex.compile(rule.match),
                rule.reply if isinstance(rule.reply, list) else [rule.reply],
            )
            for rule in self._args.answers
            if isinstance(rule, FakeRule)
        ]
        self._classes = [(regex.compile(c.match), c.probabilities) for c in self._args.classes]
        self._plain = [text for text in self._args.answers if isinstance(text, str)]
        self._met: Counter[str] = Counter()
        self._dead = False
        log.warning("engine %r is fake: its answers are scripted, no model runs", spec.name)

    async def generate(self, request: Request) -> list[Completion]:
        """Return the scripted completions after the simulated latency."""
        text = _text(request.prompt)
        sampling = request.sampling
        replies = self._replies(text)
        start = _number(text, None) + (sampling.seed or 0)
        chosen = [replies[(start + index) % len(replies)] for index in range(sampling.n)]
        words = len(text.split())
        answers = [_cut(r, sampling, words) for r in chosen if not isinstance(r, FakeError)]
        await self._wait(max((answer.output_tokens for answer in answers), default=0))
        self._fail_with(chosen, text)
        return answers

    async def score(self, prompt: Prompt, candidates: Sequence[str]) -> list[Score]:
        """Make up a log-probability in [-10, 0) for each candidate from a hash of both texts."""
        text = _text(prompt)
        replies = self._replies(text) if self._rules else []
        await self._wait(0)
        self._fail_with(replies, text)
        return [
            Score(
                -(1 + _number(text, candidate) % 10_000) / 1000,
                max(1, len(candidate.split())),
                len(text.split()) + len(candidate.split()),
            )
            for candidate in candidates
        ]

    async def top_tokens(self, prompt: Prompt, text: str, k: int) -> TopTokens:
        """Predict each word itself, then made-up tokens, each half as probable as the last one."""
        await self._wait(0)
        words = text.split()
        prefixes = [" ".join([_text(prompt), *words[:at]]) for at in range(len(words))]
        tokens = [_number(word, "token") % 50_000 for word in words]
        return TopTokens(
            "fake",
            tuple(tokens),
            tuple(
                (token, *(50_000 + _number(before, rank) % 50_000 for rank in range(1, k)))
                for token, before in zip(tokens, prefixes, strict=True)
            ),
            tuple(tuple(-(rank + 1) * math.log(2) for rank in range(k)) for _ in words),
            len(_text(prompt).split()) + len(words),
        )

    async def classify(self, text: str) -> dict[str, float]:
        """Return the probabilities of the first match in `args.classes`, else made-up ones."""
        await self._wait(0)
        for pattern, chances in self._classes:
            if self._matches(pattern, text):
                return dict(chances)
        weights = {label: 1 + _number(text, label) % 1000 for label in self._args.labels}
        return {label: weight / sum(weights.values()) for label, weight in weights.items()}

    async def attribute(self, text: str, start: int, target: str) -> list[TokenScore]:
        """Make up a score in [-1, 1) for each word of `text[start:]`."""
        await self._wait(0)
        return [
            TokenScore(
                word[0],
                word.start(),
                word.end(),
                _number(word[0].lower(), target) % 2000 / 1000 - 1,
            )
            for word in re.compile(r"\S+").finditer(text, start)
        ]

    async def nearest(self, word: str, k: int) -> list[str]:
        """Make up k words."""
        await self._wait(0)
        return [f"{word}{rank}" for rank in range(1, k + 1)]

    async def close(self) -> None:
        """Free nothing."""

    def _replies(self, text: str) -> Sequence[FakeReply]:
        """Return the replies scripted for a prompt, without faults that it has met often enough."""
        for pattern, replies in self._rules:
            if self._matches(pattern, text):
                transient = [r for r in replies if isinstance(r, FakeError) and r.times is not None]
                for fault in transient:
                    if self._met[text] < (fault.times or 0):
                        return [fault]
                if permanent := [reply for reply in replies if reply not in transient]:
                    return permanent
        if not self._plain:
            raise RequestRefusedError(
                "bad_request", f"no rule of the fake engine {self._name!r} matches {text[:80]!r}"
            )
        return self._plain

    def _matches(self, pattern: regex.Pattern[str], text: str) -> bool:
        try:
            return pattern.search(text, timeout=_MATCH_S) is not None
        except TimeoutError as error:
            raise RequestRefusedError(
                "bad_request",
                f"the pattern {pattern.pattern[:80]!r} of the fake engine {self._name!r} takes "
                f"more than {_MATCH_S:g} s for {text[:80]!r}; make it simpler",
            ) from error

    async def _wait(self, tokens: int) -> None:
        self._check_alive()
        rate = self._args.tokens_per_second
        await asyncio.sleep(self._args.latency + (tokens / rate if rate else 0.0))
        self._check_alive()

    def _check_alive(self) -> None:
        if self._dead:
            raise EngineDeadError(f"the fake engine {self._name!r} was killed by a scripted reply")

    def _fail_with(self, replies: Sequence[FakeReply], text: str) -> None:
        """Raise the first fault among the replies."""
        for reply in replies:
            if isinstance(reply, FakeError):
                self._met[text] += 1
                self._fail(reply, text)

    def _fail(self, fault: FakeError, text: str) -> NoReturn:
        if fault.error == "dead":
            self._dead = True
            raise EngineDeadError(f"the fake engine {self._name!r} was killed by a scripted reply")
        if fault.error == "unavailable":
            raise EngineUnavailableError(f"the fake engine {self._name!r} is scripted to be away")
        raise RequestRefusedError(fault.error, f"scripted for the prompt {text[:80]!r}")


def _text(prompt: Prompt) -> str:
    return prompt if isinstance(prompt, str) else "\n".join(m.content for m in prompt)


def _number(text: str, salt: int | str | None) -> int:
    return int(digest("fake", text, salt)[:12], 16)


def _cut(reply: str | FakeText, sampling: Sampling, prompt_tokens: int) -> Completion:
    """Cut the reply as a sampler would end it; words are tokens."""
    script = FakeText(text=reply) if isinstance(reply, str) else reply
    ends = [at for stop in sampling.stop if (at := script.text.find(stop)) >= 0]
    text = script.text[: min(ends)] if ends else script.text
    words = list(re.finditer(r"\S+", text))
    finish = "stop"
    if len(words) > sampling.max_tokens:
        text, finish = text[: words[sampling.max_tokens - 1].end()], "length"
    length = min(len(words), sampling.max_tokens)
    thinking, thought = script.thinking, 0
    if thinking is not None and sampling.thinking is not None:
        thinking, thought = _think(thinking, sampling.thought_tokens)
    return Completion(
        text,
        script.finish_reason or finish,
        prompt_tokens,
        length + thought,
        logprob=script.logprob,
        thinking=thinking,
        thinking_tokens=thought,
    )


def _think(script: str, budget: int) -> tuple[str | None, int]:
    """Cut a scripted thought at its budget; without one there is no thought."""
    words = list(re.finditer(r"\S+", script))[:budget]
    return (script[: words[-1].end()], len(words)) if words else (None, 0)
