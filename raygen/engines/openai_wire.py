"""The OpenAI wire format: requests as JSON, replies as completions, refusals as errors.

Pure: knows nothing of connections, retries or keys.
"""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from raygen.engines.base import (
    Completion,
    EngineSetupError,
    EngineUnavailableError,
    Request,
    RequestRefusedError,
    Score,
)
from raygen.row import digest

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|prompt.{0,20}too long|too many tokens|max_model_len", re.I
)
_N_REFUSED = re.compile(r"only one completion|[`'\"]n[`'\"] |\bn (must|should|>|=)", re.I)
_RETRIED = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class Trouble:
    """A failed attempt that may go better the next time; `retry_after` in seconds."""

    kind: Literal["unreachable", "busy", "broken"]
    message: str
    retry_after: float | None = None


class DialectError(Exception):
    """The endpoint wants the same request said otherwise: one choice each, or another key."""

    def __init__(self, what: Literal["n", "max_tokens"], message: str) -> None:
        super().__init__(message)
        self.what = what


class BadReplyError(Exception):
    """A reply that isn't what the format promises; str() says how."""


def derived_seed(seed: int | None, index: int) -> int | None:
    """The seed of the index-th completion when it needs a request of its own; 0 keeps the seed."""
    if seed is None or index == 0:
        return seed
    return int(digest("completion", seed, index)[:8], 16) >> 1


def request_body(model: str, request: Request, limit_key: str) -> dict[str, Any]:
    """The JSON of a request, for /chat/completions when its prompt is a chat, else /completions."""
    sampling = request.sampling
    body: dict[str, Any] = {
        "model": model,
        "n": sampling.n,
        "temperature": sampling.temperature,
        "top_p": sampling.top_p,
    }
    if isinstance(request.prompt, str):
        body["prompt"] = request.prompt
        body["max_tokens"] = sampling.max_tokens
    else:
        body["messages"] = [{"role": m.role, "content": m.content} for m in request.prompt]
        body[limit_key] = sampling.max_tokens
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.schema is not None:
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": request.schema,
                "strict": _strict(request.schema),
            },
        }
    return body


def parse_completions(reply: Any) -> list[Completion]:
    """The choices of a reply in the order of their index. Raises BadReplyError."""
    try:
        choices = sorted(reply["choices"], key=lambda choice: int(choice.get("index", 0)))
        answers = [_completion(choice) for choice in choices]
        usage = reply.get("usage") or {}
        prompt_tokens = int(usage.get("prompt_tokens") or 0)
        output_tokens = int(usage.get("completion_tokens") or 0)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReplyError(f"no usable choices in it ({error!r})") from error
    if not answers:
        raise BadReplyError("no choices in it")
    if len(answers) == 1:
        shares = [output_tokens]
    else:
        shares = _shares(output_tokens, [len(answer.text) for answer in answers])
    return [
        replace(answer, prompt_tokens=prompt_tokens, output_tokens=share)
        for answer, share in zip(answers, shares, strict=True)
    ]


def score_body(model: str, prompt: str, candidates: Sequence[str]) -> dict[str, Any]:
    """The JSON that asks for the log-probabilities of prompt + candidate, echoed."""
    # One new token, because not every server takes 0; it lies behind the text and is left out.
    return {
        "model": model,
        "prompt": [prompt + candidate for candidate in candidates],
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "temperature": 0.0,
    }


def parse_scores(reply: Any, prompt: str, candidates: Sequence[str]) -> list[Score]:
    """The summed log-probability of each candidate's tokens. Raises BadReplyError.

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
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadReplyError(f"no echoed log-probabilities in it ({error!r})") from error


def refusal(status: int, text: str, retry_after: float | None, where: str) -> Trouble:
    """What a status other than 200 means: a Trouble to retry, or else the error to end with.

    Raises RequestRefusedError, EngineSetupError, EngineUnavailableError or DialectError. `where`
    names the engine and its address; the text of a 401 or 403 is left out, as it may hold a key.
    """
    message, code = _reason(text)
    told = f"{where} answered {status}: {message}"
    if status == 429 and code == "insufficient_quota":
        raise EngineUnavailableError(f"{told}; add credit or use another key, then run again")
    if status == 429:
        return Trouble("busy", told, retry_after)
    if status in _RETRIED or status >= 500:
        return Trouble("busy" if status == 503 else "broken", told, retry_after)
    if status in (401, 403):
        raise EngineSetupError(
            f"{where} answered {status}: the key is missing, wrong or not allowed to use this "
            "model; set the environment variable that args.api_key_env names"
        )
    if status == 413 or (status in (400, 422) and (_TOO_LONG.search(f"{code} {message}"))):
        raise RequestRefusedError("prompt_too_long", told)
    if status in (400, 422):
        if "max_completion_tokens" in message:
            raise DialectError("max_tokens", told)
        if _N_REFUSED.search(message):
            raise DialectError("n", told)
        if code.startswith("content_"):
            raise RequestRefusedError("refused", told)
        raise RequestRefusedError("bad_request", told)
    raise EngineSetupError(f"{told}; correct args.base_url or the engine's model")


def _completion(choice: Mapping[str, Any]) -> Completion:
    finish = choice.get("finish_reason") or "stop"
    if "message" not in choice:
        text = choice["text"]
    else:
        message = choice["message"]
        text = message.get("content")
        if message.get("refusal"):
            text, finish = message["refusal"], "refusal"
    text = "" if text is None else text
    if not isinstance(text, str):
        raise TypeError(f"text is a {type(text).__name__}")
    return Completion(text, str(finish))


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
    return Score(float(sum(known)), len(known))


def _shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` split in proportion to the weights, in whole numbers that add up to it."""
    whole = sum(weights)
    if not whole:
        weights, whole = [1] * len(weights), len(weights)
    edges = [0]
    seen = 0
    for weight in weights:
        seen += weight
        edges.append(round(total * seen / whole))
    return [after - before for before, after in itertools.pairwise(edges)]


def _strict(schema: Any) -> bool:
    """Whether a schema keeps to the rules that OpenAI's strict mode asks of every object."""
    if isinstance(schema, list):
        return all(_strict(part) for part in schema)
    if not isinstance(schema, Mapping):
        return True
    if schema.get("type") == "object" and (
        schema.get("additionalProperties") is not False
        or set(schema.get("required", ())) != set(schema.get("properties", ()))
    ):
        return False
    return all(_strict(part) for part in schema.values())


def _reason(text: str) -> tuple[str, str]:
    """The message and the code in an error reply, whatever its form."""
    try:
        found = json.loads(text)
    except ValueError:
        return " ".join(text.split())[:200] or "nothing", ""
    if isinstance(found, Mapping):
        error = found.get("error", found.get("detail", found.get("message", found)))
        if isinstance(error, Mapping):
            return str(error.get("message", error))[:400], str(error.get("code") or "")
        return str(error)[:400], ""
    return str(found)[:200], ""
