"""Requests in the form of Anthropic's Messages API, and its replies as completions.

Pure: knows nothing of connections. The form has no completion prompts, no seeds, one answer a
request, and the system text apart from the turns.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel

from raygen.engines.base import Completion, Message, Request, Sampling, Thinking

Part = Literal["sampling", "format", "thinking", "effort", "cache"]
"""What a request can do without, where a model refuses it."""

LEAST_BUDGET = 1024
"""The smallest budget of thoughts that the API takes, in tokens."""

_FINISHES = {
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
}
_CACHED = {"cache_control": {"type": "ephemeral"}}


class BadMessageError(Exception):
    """A reply that isn't what the form promises; str() says how."""


@dataclass(frozen=True, slots=True)
class Body:
    """A request's JSON. `extra` are parameters that the SDK's own signature no longer has."""

    params: Mapping[str, Any]
    extra: Mapping[str, Any] = field(default_factory=dict)


def message_body(model: str, request: Request, without: frozenset[Part] = frozenset()) -> Body:
    """Return the JSON of a request for one answer, leaving out what the model refuses.

    Worked examples and the system text are marked to be cached, and with `n` the whole prompt.
    Raises ValueError for a completion prompt.
    """
    if isinstance(request.prompt, str):
        raise ValueError("a completion prompt")
    sampling = request.sampling
    thinking = None if "thinking" in without else _thinking(sampling.thinking)
    budget = int((thinking or {}).get("budget_tokens", 0))
    system, turns = _turns(request.prompt, sampling.n, cached="cache" not in without)
    output = _output(request, sampling.thinking, without)
    params: dict[str, Any] = {
        "model": model,
        "messages": turns,
        "max_tokens": sampling.max_tokens + budget,
        **({"system": system} if system else {}),
        **({"stop_sequences": list(sampling.stop)} if sampling.stop else {}),
        **({"thinking": thinking} if thinking else {}),
        **({"output_config": output} if output else {}),
    }
    return Body(params, _sampling(sampling, thinking is not None, without))


def plain_reply(reply: object) -> Mapping[str, Any]:
    """Return what the SDK made of a reply as plain data. Raises BadMessageError for a text."""
    if not isinstance(reply, BaseModel):
        raise BadMessageError(f"{str(reply)[:80]!r} is no JSON object")
    return reply.model_dump(mode="json")


def parse_message(reply: Mapping[str, Any]) -> Completion:
    """Return the answer in a reply, its thoughts apart. Raises BadMessageError."""
    try:
        blocks: Sequence[Mapping[str, Any]] = reply["content"]
        usage: Mapping[str, Any] = reply.get("usage") or {}
        text = "".join(block["text"] for block in blocks if block["type"] == "text")
        thoughts = [block["thinking"] for block in blocks if block["type"] == "thinking"]
        finish = str(reply.get("stop_reason") or "stop")
        return Completion(
            text,
            _FINISHES.get(finish, finish),
            prompt_tokens=_prompt_tokens(usage),
            output_tokens=int(usage.get("output_tokens") or 0),
            thinking="\n".join(thoughts).strip() or None,
            thinking_tokens=_thinking_tokens(usage),
        )
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError) as error:
        raise BadMessageError(f"no usable answer in it ({error!r})") from error


def _turns(
    prompt: Sequence[Message], n: int, *, cached: bool
) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    """Split a chat into system blocks and turns, with marks where its start is to be cached."""
    system: list[dict[str, Any]] = [
        {"type": "text", "text": m.content} for m in prompt if m.role == "system"
    ]
    turns: list[dict[str, Any]] = [
        {"role": m.role, "content": [{"type": "text", "text": m.content}]}
        for m in prompt
        if m.role != "system"
    ]
    if not cached:
        return system, turns
    # What precedes the last turn is the same for many rows, and all of it for n answers of one.
    blocks: list[dict[str, Any]] = [
        *system,
        *(block for turn in turns for block in turn["content"]),
    ]
    for block in blocks[-2:] if n > 1 else blocks[-2:-1]:
        block.update(_CACHED)
    return system, turns


def _output(
    request: Request, thinking: Thinking | None, without: frozenset[Part]
) -> dict[str, Any]:
    output: dict[str, Any] = {}
    if request.schema is not None and "format" not in without:
        output["format"] = {"type": "json_schema", "schema": closed(request.schema)}
    if thinking is not None and thinking.effort is not None and "effort" not in without:
        output["effort"] = thinking.effort
    return output


def closed(schema: Any) -> Any:
    """Return a JSON schema whose objects take no other keys than they name, as the API requires."""
    if isinstance(schema, list):
        return [closed(part) for part in schema]
    if not isinstance(schema, Mapping):
        return schema
    copy = {key: closed(value) for key, value in schema.items()}
    if copy.get("type") == "object":
        copy.setdefault("additionalProperties", False)
    return copy


def _thinking(thinking: Thinking | None) -> dict[str, Any] | None:
    if thinking is None or thinking.mode == "auto":
        return None
    if thinking.mode == "off":
        return {"type": "disabled"}
    if thinking.budget is None:
        return {"type": "adaptive"}
    return {"type": "enabled", "budget_tokens": max(LEAST_BUDGET, thinking.budget)}


def _sampling(sampling: Sampling, thinks: bool, without: frozenset[Part]) -> dict[str, Any]:
    """Return the sampling parameters, which a model that thinks doesn't take."""
    extra = dict(sampling.extra or {})
    if thinks or "sampling" in without:
        return extra
    # The API takes one of temperature and top_p; 1 is what it does without.
    values: dict[str, Any] = {"temperature": sampling.temperature, "top_k": sampling.top_k}
    if sampling.top_p != 1.0:
        values["top_p"] = sampling.top_p
        if sampling.temperature == 1.0:
            del values["temperature"]
    return {name: value for name, value in values.items() if value is not None} | extra


def _prompt_tokens(usage: Mapping[str, Any]) -> int:
    names = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")
    return sum(int(usage.get(name) or 0) for name in names)


def _thinking_tokens(usage: Mapping[str, Any]) -> int:
    details = usage.get("output_tokens_details") or {}
    return int(details.get("thinking_tokens") or 0)
