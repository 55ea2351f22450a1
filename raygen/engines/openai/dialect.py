"""How an endpoint wants its requests worded, and what its refusals teach of that.

Pure: knows nothing of connections. What is learned holds from the first request that was taken so.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Literal

from raygen.engines.openai.refusals import RefusalError

Format = Literal["json_schema", "json_object", "text"]
"""How an answer is held to a schema: by it, as any JSON, or not at all."""

LimitKey = Literal["max_tokens", "max_completion_tokens"]

_WEAKER: Mapping[Format, Format] = {"json_schema": "json_object", "json_object": "text"}
_FORMAT = re.compile(r"response_format|json_schema|json_object|structured output", re.I)
_ONLY_ONE = re.compile(r"only (one|1|a single)|multiple (completions|candidates|choices)", re.I)
_AT_MOST = re.compile(
    r"(at most|up to|maximum[^\d]{0,40}|<=|less than or equal to|and) ?(\d+)", re.I
)
_NEUTRAL: Mapping[str, Any] = {"temperature": 1.0, "top_p": 1.0}
_WISHES = frozenset({"seed", "logprobs", "n"})
"""What changes nothing of an answer's distribution, or is had in another way."""
_FIXED = frozenset(
    {"model", "messages", "prompt", "max_tokens", "max_completion_tokens", "response_format"}
)
_TEACHING = frozenset({400, 403, 404, 422})


@dataclass(frozen=True, slots=True)
class Dialect:
    """How an endpoint wants a request worded.

    `left_out` are the settings that it refuses, `most` is how many choices it gives in a request,
    None for as many as one likes.
    """

    limit_key: LimitKey = "max_tokens"
    left_out: frozenset[str] = frozenset()
    format: Format = "json_schema"
    most: int | None = None

    def with_learned(self, before: Dialect, after: Dialect) -> Dialect:
        """Add what a request learned, which began with `before` and was taken with `after`."""
        key = after.limit_key if after.limit_key != before.limit_key else self.limit_key
        most = self.most if after.most == before.most else after.most
        left_out = self.left_out | (after.left_out - before.left_out)
        return replace(self, limit_key=key, left_out=left_out, most=most)


def reworded(dialect: Dialect, body: Mapping[str, Any], refusal: RefusalError) -> Dialect | None:
    """Return the dialect in which a refused request may be taken; None where the refusal names
    nothing that could be said otherwise."""
    if refusal.status not in _TEACHING or refusal.reason != "bad_request":
        return None
    key = dialect.limit_key
    if key == "max_tokens" and "max_completion_tokens" in refusal.text:
        return replace(dialect, limit_key="max_completion_tokens") if key in body else None
    if key == "max_completion_tokens" and (key in refusal.parameters):
        return replace(dialect, limit_key="max_tokens")
    if "response_format" in body and (
        "response_format" in refusal.parameters or _FORMAT.search(refusal.text)
    ):
        return replace(dialect, format=_WEAKER[dialect.format])
    named = _named(body, refusal)
    if named == "n" and body["n"] > 1:
        return replace(dialect, most=_fewer(body["n"], refusal.text))
    if named is None:
        return None
    most = 1 if named == "n" else dialect.most
    return replace(dialect, left_out=dialect.left_out | {named}, most=most)


def changes_answers(name: str, value: Any) -> bool:
    """Tell whether answers without a setting are others than those with it."""
    return name not in _WISHES and value != _NEUTRAL.get(name, [])


def _named(body: Mapping[str, Any], refusal: RefusalError) -> str | None:
    """Find the setting of a body that a refusal names; of several the one that means least."""
    settings = [name for name in body if name not in _FIXED]
    given = [name for name in settings if name in refusal.parameters]
    if refusal.parameters and not given:
        return None
    named = given or [name for name in settings if _mentions(refusal.text, name)]
    if "n" in settings and not named and _ONLY_ONE.search(refusal.text):
        return "n"
    return min(named, key=lambda name: changes_answers(name, body[name]), default=None)


def _mentions(text: str, name: str) -> bool:
    return re.search(rf"(?<![\w\\]){re.escape(name)}(?!\w|['’]\w)", text, re.I) is not None


def _fewer(asked: int, text: str) -> int:
    """Return how many choices to ask for where `asked` are too many."""
    known = [int(found[1]) for found in _AT_MOST.findall(text)]
    return max(
        (n for n in known if 1 <= n < asked), default=1 if _ONLY_ONE.search(text) else asked // 2
    )
