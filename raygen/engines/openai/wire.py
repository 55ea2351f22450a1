"""The requests to an OpenAI-compatible endpoint as JSON, and its refusals as errors.

Pure: knows nothing of connections, retries or keys.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from raygen.engines.base import (
    EngineSetupError,
    EngineUnavailableError,
    Request,
    RequestRefusedError,
)

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|prompt.{0,20}too long|too many tokens|max_model_len", re.I
)
_N_REFUSED = re.compile(r"only one completion|[`'\"]n[`'\"] |\bn (must|should|>|=)", re.I)
_FORMAT_REFUSED = re.compile(r"response_format|json_schema|json_object|structured output", re.I)
_SETTINGS = (
    "temperature",
    "top_p",
    "top_k",
    "min_p",
    "presence_penalty",
    "frequency_penalty",
    "repetition_penalty",
)
_RETRIED = frozenset({408, 409, 425, 429})


@dataclass(frozen=True, slots=True)
class RetryableFailure:
    """A failed attempt that may go better the next time; `retry_after` in seconds."""

    kind: Literal["unreachable", "busy", "broken"]
    message: str
    retry_after: float | None = None


Format = Literal["json_schema", "json_object", "text"]
"""How an answer is held to a schema: by it, as any JSON, or not at all."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an endpoint wants a request worded."""

    limit_key: str = "max_tokens"
    logprobs: bool = True
    format: Format = "json_schema"


class DialectError(Exception):
    """The endpoint wants the same request worded otherwise, or without a part of it."""

    def __init__(
        self, what: Literal["n", "max_tokens", "logprobs", "format"], message: str
    ) -> None:
        super().__init__(message)
        self.what = what


def derived_seed(seed: int | None, index: int) -> int | None:
    """Return the seed of the index-th completion when it needs a request of its own, by the rule of
    servers that draw n themselves."""
    return None if seed is None else seed + index


def request_body(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON of a request, for /chat/completions when its prompt is a chat, else
    /completions."""
    sampling = request.sampling
    body: dict[str, Any] = {**(sampling.extra or {}), "model": model, "n": sampling.n}
    for name in _SETTINGS:
        if (value := getattr(sampling, name)) is not None:
            body[name] = value
    if sampling.logit_bias:
        body["logit_bias"] = {str(token): bias for token, bias in sampling.logit_bias.items()}
    if isinstance(request.prompt, str):
        body["prompt"] = request.prompt
        body["max_tokens"] = sampling.max_tokens
    else:
        body["messages"] = [{"role": m.role, "content": m.content} for m in request.prompt]
        body[dialect.limit_key] = sampling.max_tokens
    if dialect.logprobs:
        # Of completions the number of likeliest tokens; some servers take 0 for no.
        body["logprobs"] = 1 if isinstance(request.prompt, str) else True
    if sampling.seed is not None:
        body["seed"] = sampling.seed
    if sampling.stop:
        body["stop"] = list(sampling.stop)
    if request.schema is not None and dialect.format == "json_schema":
        body["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "schema": request.schema,
                "strict": _strict(request.schema),
            },
        }
    elif request.schema is not None and dialect.format == "json_object":
        body["response_format"] = {"type": "json_object"}
    return body


def score_body(model: str, prompt: str, candidates: Sequence[str]) -> dict[str, Any]:
    """Return the JSON that asks for the log-probabilities of prompt + candidate, echoed."""
    # One new token, because not every server takes 0; it lies behind the text and is left out.
    return {
        "model": model,
        "prompt": [prompt + candidate for candidate in candidates],
        "echo": True,
        "logprobs": 1,
        "max_tokens": 1,
        "temperature": 0.0,
    }


def error_of_status(
    status: int,
    text: str,
    retry_after: float | None,
    where: str,
    hide: Callable[[str], str],
) -> RetryableFailure:
    """Return the error of a status other than 200: a RetryableFailure, else one to end with.

    Raises RequestRefusedError, EngineSetupError, EngineUnavailableError or DialectError. `where`
    names the engine and its address, `hide` takes secrets out of what the error says; the text of
    a 401 or 403 is left out.
    """
    message, code = (hide(part)[:400] for part in _reason(text))
    answered = f"{where} answered {status}: {message}"
    if status == 429 and code == "insufficient_quota":
        raise EngineUnavailableError(f"{answered}; add credit or use another key, then run again")
    if status == 429:
        return RetryableFailure("busy", answered, retry_after)
    if status in _RETRIED or status >= 500:
        return RetryableFailure("busy" if status == 503 else "broken", answered, retry_after)
    if status in (400, 403, 422) and "logprobs" in message.lower():
        raise DialectError("logprobs", answered)
    if status in (401, 403):
        raise EngineSetupError(
            f"{where} answered {status}: the key is missing, wrong or not allowed to use this "
            "model; set the environment variable that args.api_key_env names"
        )
    if status == 413 or (status in (400, 422) and (_TOO_LONG.search(f"{code} {message}"))):
        raise RequestRefusedError("prompt_too_long", answered)
    if status in (400, 422):
        if "max_completion_tokens" in message:
            raise DialectError("max_tokens", answered)
        if _FORMAT_REFUSED.search(message):
            raise DialectError("format", answered)
        if _N_REFUSED.search(message):
            raise DialectError("n", answered)
        if code.startswith("content_"):
            raise RequestRefusedError("refused", answered)
        raise RequestRefusedError("bad_request", answered)
    raise EngineSetupError(f"{answered}; correct args.base_url or the engine's model")


def _strict(schema: Any) -> bool:
    """Tell whether a schema keeps to the rules that OpenAI's strict mode asks of every object."""
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
    """Return the message and the code in an error reply, whatever its form."""
    try:
        reply = json.loads(text)
    except (ValueError, RecursionError):
        return " ".join(text.split()) or "nothing", ""
    if isinstance(reply, Mapping):
        error = reply.get("error", reply.get("detail", reply.get("message", reply)))
        if isinstance(error, Mapping):
            return str(error.get("message", error)), str(error.get("code") or "")
        return str(error), ""
    return str(reply), ""
