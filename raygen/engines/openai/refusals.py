"""What an endpoint's refusal means: try again, ask otherwise, or give this request up.

Pure: knows nothing of connections or of what was asked. Whether a refusal is one request's or
everybody's isn't in its text; the engine finds out by a control question.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from raygen.engines.base import EngineError, EngineSetupError, EngineUnavailableError

RefusalReason = Literal["prompt_too_long", "refused", "bad_request"]
"""The first two lie in the prompt; the last may be anybody's."""

_TOO_LONG = re.compile(
    r"context.{0,20}(length|window|size)|prompt.{0,20}too long|too many tokens|max_model_len"
    r"|input.{0,20}too long|maximum.{0,20}(input|prompt).{0,20}(length|tokens)",
    re.I,
)
_FILTERED = re.compile(
    r"content[ _-]?(filter|management|policy|moderation)|flagged|moderation|safety (system|policy)"
    r"|prohibited[ _]content|responsible ?ai|usage polic|data_inspection_failed",
    re.I,
)
_NO_CREDIT = re.compile(r"insufficient_quota|insufficient[ _](balance|credit|funds)", re.I)
_KEY = re.compile(r"\b(sk|pk|key|gsk|hf|xai|nvapi|AIza)[-_]?[\w*-]*\d[\w*-]*")
_LOCATED = re.compile(r"'loc': [(\[]'body', '(\w+)'")
_RETRIED = frozenset({408, 409, 425, 429})
_BUSY = frozenset({429, 503, 529})
_MAX_MESSAGE = 400
_PENDING = "what is not done stays pending"


@dataclass(frozen=True, slots=True)
class RetryableFailure:
    """A failed attempt that may go better the next time; `retry_after` in seconds.

    `answered`: a server was there and said so.
    """

    kind: Literal["unreachable", "busy", "broken"]
    message: str
    retry_after: float | None = None
    answered: bool = False


class RefusalError(Exception):
    """A refused request. str() says who answered what.

    `text` is all that the reply says, `parameters` are those that it names as the cause.
    """

    def __init__(
        self,
        status: int,
        reason: RefusalReason,
        answered: str,
        text: str = "",
        parameters: tuple[str, ...] = (),
        code: str = "",
    ) -> None:
        super().__init__(answered)
        self.status = status
        self.reason: RefusalReason = reason
        self.text = text
        self.parameters = parameters
        self.code = code

    @property
    def kind(self) -> tuple[int, str, str]:
        """What two refusals of the same kind have in common: the text without its figures."""
        return self.status, self.code, re.sub(r"[\d\"'`].*", "", self.text)[:80]


def read_refusal(
    status: int,
    body: str,
    retry_after: float | None,
    where: str,
    hide: Callable[[str], str],
) -> RetryableFailure | RefusalError:
    """Return what a status other than 200 means.

    `where` names the engine and its address; `hide` takes secrets out of what the reply says.
    Raises EngineUnavailableError where it says that the account is used up.
    """
    said = _read(body)
    message, code = hide(said.message), hide(said.code)
    shown = _KEY.sub("***", message)[:_MAX_MESSAGE]
    answered = f"{where} answered {status}: {shown}"
    if status == 429 and _NO_CREDIT.search(f"{code} {message}"):
        raise EngineUnavailableError(
            f"{answered}; add credit or use another key, then run again: {_PENDING}"
        )
    if status in _RETRIED or status >= 500:
        kind: Literal["busy", "broken"] = "busy" if status in _BUSY else "broken"
        return RetryableFailure(kind, answered, retry_after, answered=True)
    reason = _reason(status, f"{code} {message}")
    return RefusalError(status, reason, answered, message, said.parameters, code)


def refuses_everybody(refusal: RefusalError, where: str, path: str) -> EngineError:
    """Return the error that ends a run whose every request is refused so.

    `path` is the last part of the address, such as `chat/completions`.
    """
    if refusal.status in (401, 403):
        return EngineSetupError(
            f"{refusal}; the key is missing, wrong or not allowed to use this model: set the "
            "environment variable that args.api_key_env names"
        )
    if refusal.reason == "prompt_too_long":
        return EngineSetupError(
            f"{refusal}; it says so of a prompt of a few words too: lower max_tokens"
        )
    if refusal.status in (404, 405, 410, 501) or 300 <= refusal.status < 400:
        return EngineSetupError(
            f"{refusal}; correct args.base_url or the engine's model ({where} was asked at /{path})"
        )
    return EngineUnavailableError(
        f"{refusal}; it refuses every request so, one of a few words too: {_PENDING}"
    )


def _reason(status: int, text: str) -> RefusalReason:
    if status == 413 or (status in (400, 422) and _TOO_LONG.search(text)):
        return "prompt_too_long"
    if status in (400, 403, 422, 451) and (_FILTERED.search(text) or text.startswith("content_")):
        return "refused"
    return "bad_request"


@dataclass(frozen=True, slots=True)
class _ErrorText:
    message: str
    code: str = ""
    parameters: tuple[str, ...] = ()


def _read(body: str) -> _ErrorText:
    """Read an error reply, whatever its form."""
    try:
        reply = json.loads(body)
    except (ValueError, RecursionError):
        return _ErrorText(" ".join(body.split()) or "nothing")
    if isinstance(reply, list) and len(reply) == 1:
        reply = reply[0]
    if not isinstance(reply, Mapping):
        return _ErrorText(str(reply))
    error = reply.get("error") or reply.get("detail") or reply.get("message") or reply
    if isinstance(error, list):
        return _of_details(error)
    if not isinstance(error, Mapping):
        return _ErrorText(str(error), parameters=tuple(_LOCATED.findall(str(error))))
    message = str(error.get("message", error))
    named = error.get("param")
    named = (named,) if isinstance(named, str) and named else ()
    parameters = named or tuple(_LOCATED.findall(message))
    return _ErrorText(message, str(error.get("code") or ""), parameters)


def _of_details(details: list[Any]) -> _ErrorText:
    """Read the list in which FastAPI says which fields of a body it refuses."""
    located = [detail.get("loc") for detail in details if isinstance(detail, Mapping)]
    names = [str(loc[-1]) for loc in located if isinstance(loc, list) and loc]
    words = [
        f"{detail.get('loc', '')}: {detail.get('msg', detail)}"
        if isinstance(detail, Mapping)
        else str(detail)
        for detail in details
    ]
    return _ErrorText("; ".join(words), parameters=tuple(names))
