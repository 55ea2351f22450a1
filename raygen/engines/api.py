"""Settle how an engine is spoken to: by a chat, or by a text that it goes on with.

Knows nothing of prompts.
"""

from __future__ import annotations

from raygen.engines.args import ENDPOINTS
from raygen.engines.base import Api, EngineSetupError, EngineSpec
from raygen.engines.models.hub_access import hub_access
from raygen.engines.models.metadata import model_kind
from raygen.engines.models.template_lookup import has_chat_template


def resolve_api(spec: EngineSpec) -> Api:
    """Return how an engine is spoken to; `auto` is a chat for endpoints and chat models.

    Raises EngineSetupError, with what to write, where that can't be found out.
    """
    if spec.api != "auto":
        return spec.api
    if spec.backend in ENDPOINTS:
        return "chat"
    if spec.backend == "fake" or model_kind(spec) != "causal":
        return "completion"
    try:
        with hub_access(anonymous=spec.anonymous):
            chats = has_chat_template(spec.model, spec.revision)
    except EngineSetupError as error:
        raise EngineSetupError(
            f"api: auto needs to know whether {spec.model!r} has a chat template ({error}); "
            "write api: chat or api: completion"
        ) from error
    return "chat" if chats else "completion"
