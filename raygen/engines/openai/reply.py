"""The replies of an OpenAI-compatible endpoint as completions and scores.

Pure: knows nothing of connections, requests or refusals.
"""

from __future__ import annotations

import itertools
import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from raygen.engines.base import Completion, Score
from raygen.engines.openai.thoughts import count_thinking_tokens, read_message
from raygen.engines.openai.usage import cached_tokens, reported_cost

_FINISHES = {
    "stop": "stop",
    "length": "length",
    "content_filter": "content_filter",
    "end_turn": "stop",
    "eos": "stop",
    "eos_token": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "max_output_tokens": "length",
    "safety": "content_filter",
    "recitation": "content_filter",
    "prohibited_content": "content_filter",
    "blocklist": "content_filter",
    "sensitive": "content_filter",
    "network_error": "error",
    "server_error": "error",
    "insufficient_system_resource": "error",
    "malformed_function_call": "error",
    "abort": "error",
}
"""Other servers' names for the reasons that the format defines, and `error` for an answer that the
server broke off."""


class BadReplyError(Exception):
    """A reply that isn't what the format promises; str() says how."""


class ErrorReplyError(Exception):
    """An error in a reply that came with status 200. `status` is the one that it stands for."""

    def __init__(self, status: int, body: str) -> None:
        super().__init__(body)
        self.status = status


def parse_completions(reply: Any) -> list[Completion]:
    """Return the choices of a reply in the order of their index.

    A choice that the server broke off has the finish reason `error`. Raises BadReplyError, and
    ErrorReplyError where there is an error in place of choices.
    """
    if isinstance(reply, Mapping) and reply.get("error") and not reply.get("choices"):
        raise ErrorReplyError(_status(reply["error"]), json.dumps(reply))
    try:
        choices = sorted(reply["choices"], key=lambda choice: int(choice.get("index", 0)))
        answers = [_completion(choice) for choice in choices]
        usage = reply.get("usage") or {}
        prompt_tokens, output_tokens = _usage(usage)
        thinking_tokens = min(count_thinking_tokens(usage), output_tokens)
        cached, cost = cached_tokens(usage), reported_cost(usage)
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadReplyError(f"no usable choices in it ({error!r})") from error
    if not answers:
        raise BadReplyError("no choices in it")
    lengths = [len(answer.text) + len(answer.thinking or "") for answer in answers]
    shares = _shares(output_tokens, lengths)
    thoughts = _shares(thinking_tokens, [len(answer.thinking or "") for answer in answers])
    return [
        replace(
            answer,
            prompt_tokens=prompt_tokens,
            output_tokens=share,
            thinking_tokens=min(thought, share),
            cached_tokens=None if index else cached,
            cost=None if index else cost,
        )
        for index, (answer, share, thought) in enumerate(
            zip(answers, shares, thoughts, strict=True)
        )
    ]


def parse_scores(reply: Any, prompt: str, candidates: Sequence[str]) -> list[Score]:
    """Return the summed log-probability of each candidate's tokens. Raises BadReplyError.

    A token that spans the end of the prompt counts with the candidate.
    """
    try:
        choices = sorted(reply["choices"], key=lambda choice: int(choice.get("index", 0)))
        if len(choices) != len(candidates):
            raise BadReplyError(f"{len(choices)} choices for {len(candidates)} texts")
        return [
            _score(choice["logprobs"], len(prompt), len(prompt) + len(candidate))
            for choice, candidate in zip(choices, candidates, strict=True)
        ]
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadReplyError(f"no echoed log-probabilities in it ({error!r})") from error


def _status(error: Any) -> int:
    """Return the status that an error stands for; 502, which is tried again, where it says none."""
    if not isinstance(error, Mapping):
        return 502
    for name in ("code", "status", "status_code"):
        if str(error.get(name)).isdigit() and 400 <= int(error[name]) < 600:
            return int(error[name])
    words = f"{error.get('code')} {error.get('type')}"
    if re.search(r"rate_limit|insufficient_quota", words):
        return 429
    return 400 if re.search(r"context_length|content_|invalid_request", words) else 502


def _completion(choice: Mapping[str, Any]) -> Completion:
    finish = "error" if choice.get("error") else str(choice.get("finish_reason") or "stop")
    finish = _FINISHES.get(finish.lower(), finish)
    thinking = None
    if "message" not in choice:
        text = choice["text"]
    else:
        message = choice["message"]
        text, thinking = read_message(message)
        if message.get("refusal"):
            text, finish = message["refusal"], "refusal"
    text = "" if text is None else text
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}")
    return Completion(text, finish, logprob=_logprob(choice), thinking=thinking)


def _logprob(choice: Mapping[str, Any]) -> float | None:
    """Return the summed log-probability of the choice's tokens, where the server gives all of
    them."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, Mapping):
        return None
    values = logprobs.get("token_logprobs")
    content = logprobs.get("content")
    if isinstance(content, list):
        values = [entry.get("logprob") for entry in content if isinstance(entry, Mapping)]
    if not isinstance(values, list) or not all(isinstance(v, int | float) for v in values):
        return None
    total = float(sum(values)) if values else math.nan
    return total if math.isfinite(total) else None


def _usage(usage: Mapping[str, Any]) -> tuple[int, int]:
    """Return tokens in and out, thoughts included: some servers count those in the total alone."""
    prompt, output, total = (
        max(0, int(usage.get(name) or 0))
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    return prompt, max(output, total - prompt)


def _score(logprobs: Mapping[str, Any], start: int, end: int) -> Score:
    values = logprobs["token_logprobs"]
    begins = logprobs.get("text_offset")
    if begins is None:
        lengths = [len(token) for token in logprobs["tokens"]]
        begins = [sum(lengths[:index]) for index in range(len(lengths))]
    ends = [*begins[1:], float("inf")]
    counted = [
        value
        for value, begin, token_end in zip(values, begins, ends, strict=True)
        if token_end > start and begin < end
    ]
    if not counted:
        raise ValueError("the echoed text is missing")
    # The first token of an empty prompt has no log-probability.
    known = [value for value in counted if value is not None]
    return Score(float(sum(known)), len(known), sum(begin < end for begin in begins))


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """Return `total` split in proportion to the weights, in whole numbers that add up to it."""
    weight_sum = sum(weights)
    if not weight_sum:
        weights, weight_sum = [1] * len(weights), len(weights)
    edges = [0]
    weight_so_far = 0
    for weight in weights:
        weight_so_far += weight
        edges.append(round(total * weight_so_far / weight_sum))
    return [after - before for before, after in itertools.pairwise(edges)]
