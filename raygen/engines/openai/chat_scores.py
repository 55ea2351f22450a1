"""How probable an endpoint finds each of some letters as its answer to a chat.

By the log-probabilities of the answer's first token, where the server gives them, else by how often
the letters are answered. Knows nothing of connections.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from raygen.engines.base import (
    Completion,
    EngineSetupError,
    Message,
    Request,
    Sampling,
    Score,
)
from raygen.engines.openai.reply import BadReplyError, parse_completions

VOTES = 16
"""Answers that are sampled where there are no log-probabilities."""
_LISTED = 20
_UNSEEN = 0.5
"""What a letter that nobody answered counts, in votes."""

Ask = Callable[[Request], Awaitable[list[Completion]]]


class ChatScores:
    """Scores letters after chats. `notes` says what it learned of the endpoint, for people."""

    def __init__(self, where: str, ask_first_token: Ask, sample: Ask) -> None:
        """`ask_first_token` answers with what `read_first_token` reads, `sample` with texts."""
        self.notes: list[str] = []
        self._where = where
        self._ask_first_token = ask_first_token
        self._sample = sample
        self._votes = False

    async def score(self, prompt: tuple[Message, ...], letters: Sequence[str]) -> list[Score]:
        """Return the log-probability of each letter as the first token of the answer.

        Raises EngineSetupError for anything but letters.
        """
        if any(len(letter) != 1 for letter in letters):
            raise EngineSetupError(
                f"{self._where} can score only the letters of options in a chat; leave "
                "`candidates` out, or use the vllm backend"
            )
        if not self._votes:
            sampling = Sampling(temperature=0.0, max_tokens=1, extra={"top_logprobs": _LISTED})
            (answer,) = await self._ask_first_token(Request(prompt, sampling))
            listed = json.loads(answer.text)
            if listed:
                return _scores(_by_letter(listed, letters), answer.prompt_tokens)
            self._votes = True
            self.notes.append(
                f"{self._where} gives no log-probabilities of a chat's first token (top_logprobs): "
                f"options are scored by a vote of {VOTES} answers"
            )
        return await self._by_vote(prompt, letters)

    async def _by_vote(self, prompt: tuple[Message, ...], letters: Sequence[str]) -> list[Score]:
        sampling = Sampling(n=VOTES, temperature=1.0, max_tokens=256, seed=0)
        answers = await self._sample(Request(prompt, sampling))
        votes = Counter(_letter(answer.text) for answer in answers)
        total = len(answers) + _UNSEEN * len(letters)
        logprobs = [math.log((votes[letter] or _UNSEEN) / total) for letter in letters]
        return _scores(logprobs, answers[0].prompt_tokens)


def read_first_token(raw: bytes) -> list[Completion]:
    """Read from a reply what could have been its first token: JSON of token -> log-probability.

    Empty where the server doesn't say. Raises BadReplyError, ValueError and ErrorReplyError.
    """
    reply = json.loads(raw)
    (answer, *_) = parse_completions(reply)
    try:
        entries = ((reply["choices"][0].get("logprobs") or {}).get("content") or [{}])[0]
        listed = {
            str(entry["token"]): float(entry["logprob"])
            for entry in entries.get("top_logprobs") or ()
        }
    except (AttributeError, KeyError, TypeError, IndexError, ValueError) as error:
        raise BadReplyError(f"no usable log-probabilities in it ({error!r})") from error
    return [Completion(json.dumps(listed), prompt_tokens=answer.prompt_tokens)]


def _by_letter(listed: Mapping[str, Any], letters: Sequence[str]) -> list[float]:
    """Sum the tokens that are a letter; one that isn't listed counts as the last that is."""
    least = min(listed.values())
    logprobs = []
    for letter in letters:
        found = [logprob for token, logprob in listed.items() if token.strip() == letter]
        logprobs.append(math.log(sum(map(math.exp, found))) if found else least)
    return logprobs


def _letter(text: str) -> str:
    """Return the letter that an answer is, or begins with."""
    word = text.strip().lstrip("(*\"'").split(maxsplit=1)[:1]
    return word[0].rstrip(").:,*\"'").upper() if word else ""


def _scores(logprobs: Sequence[float], read: int) -> list[Score]:
    """Make the scores; the prompt was read once for all."""
    return [Score(logprob, 1, 0 if k else read) for k, logprob in enumerate(logprobs)]
