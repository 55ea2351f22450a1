"""The requests to an OpenAI-compatible endpoint as JSON.

Pure: knows nothing of connections, retries or keys.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.engines.base import PLAIN_SETTINGS, Request
from raygen.engines.openai.dialect import Dialect


def derived_seed(seed: int | None, index: int) -> int | None:
    """Return the seed of the index-th completion when it needs a request of its own, by the rule of
    servers that draw n themselves."""
    return None if seed is None else seed + index


def request_body(model: str, request: Request, dialect: Dialect) -> dict[str, Any]:
    """Return the JSON of a request, for /chat/completions when its prompt is a chat, else
    /completions."""
    sampling = request.sampling
    body: dict[str, Any] = {**(sampling.extra or {}), "model": model, "n": sampling.n}
    for name in PLAIN_SETTINGS:
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
    return {name: value for name, value in body.items() if name not in dialect.left_out}


def control_body(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return the JSON of a request with the same settings for a prompt that is nobody's row."""
    if "prompt" in body:
        return {**body, "prompt": "The opposite of hot is"}
    return {**body, "messages": [{"role": "user", "content": "Say OK."}]}


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
