"""How a request to an endpoint says how to think, and goes on from a thought that was cut.

Pure: knows nothing of connections.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from raygen.engines.args import ThinkingForm
from raygen.engines.base import Completion, Message, Request, Thinking
from raygen.engines.models import thinking_args
from raygen.engines.reasoning import ThinkingTags, split_thinking

_GO_ON = {"continue_final_message": True, "add_generation_prompt": False}
"""What vLLM and SGLang take to write on from the last turn in place of a new one."""


def with_thinking(
    request: Request, form: ThinkingForm, template_args: Mapping[str, Any]
) -> Request:
    """Return a request whose `extra` says how to think, in the form that the endpoint takes.

    Its `max_tokens` are those of the thought and of the answer together.
    """
    sampling, is_chat = request.sampling, not isinstance(request.prompt, str)
    extra = dict(sampling.extra or {})
    if sampling.thinking is not None:
        if form == "template":
            extra |= _template(sampling.thinking, is_chat=is_chat)
        elif is_chat:
            extra |= _named(sampling.thinking, form)
    if is_chat and template_args:
        given = extra.get("chat_template_kwargs", {})
        extra["chat_template_kwargs"] = {**given, **template_args}
    told = replace(sampling, extra=extra or None, max_tokens=sampling.most_tokens, thinking=None)
    return replace(request, sampling=told)


def going_on(request: Request, cut: Completion, form: ThinkingForm) -> Request | None:
    """Return the request that answers after a thought that took all of its tokens.

    None for an answer that is there, and for an endpoint that only writes turns of its own: one of
    the form `template` goes on from a text that it is given.
    """
    if cut.finish_reason != "length" or not request.sampling.thought_tokens:
        return None
    thinking, text = split_thinking(cut.text)
    thinking = cut.thinking or thinking
    if not thinking or text.strip():
        return None
    tags = ThinkingTags()
    sampling = replace(request.sampling, n=1, thinking=None)
    if isinstance(request.prompt, str):
        closed = f"{request.prompt}{cut.text.rstrip()}\n{tags.closing}\n\n"
        return replace(request, prompt=closed, sampling=sampling)
    if form != "template":
        return None
    turn = Message("assistant", f"{tags.opening}\n{thinking}\n{tags.closing}\n\n")
    extra = {**(sampling.extra or {}), **_GO_ON}
    return replace(request, prompt=(*request.prompt, turn), sampling=replace(sampling, extra=extra))


def joined(cut: Completion, answer: Completion) -> Completion:
    """Return the answer after the thought that it goes on from, with the tokens of both."""
    thinking, text = split_thinking(answer.text)
    return replace(
        answer,
        text=text if thinking is None or text else answer.text,
        prompt_tokens=cut.prompt_tokens + answer.prompt_tokens,
        output_tokens=cut.output_tokens + answer.output_tokens,
        logprob=None,
        thinking=cut.thinking or split_thinking(cut.text)[0],
        thinking_tokens=cut.output_tokens,
    )


def _template(thinking: Thinking, *, is_chat: bool) -> dict[str, Any]:
    named = thinking_args(thinking)
    named.pop("thinking_budget", None)
    settings: dict[str, Any] = {"chat_template_kwargs": named} if is_chat and named else {}
    if thinking.mode != "off" and thinking.budget is not None:
        settings["thinking_token_budget"] = thinking.budget
    return settings


def _named(thinking: Thinking, form: ThinkingForm) -> dict[str, Any]:
    if form == "reasoning_effort":
        default = {"off": "none", "on": "medium", "auto": None}[thinking.mode]
        effort = default if thinking.mode == "off" else thinking.effort or default
        return {} if effort is None else {"reasoning_effort": effort}
    if thinking.mode == "off":
        return {"reasoning": {"enabled": False}}
    named = {"max_tokens": thinking.budget, "effort": thinking.effort}
    reasoning: dict[str, Any] = {k: v for k, v in named.items() if v is not None}
    if not reasoning and thinking.mode == "on":
        reasoning = {"enabled": True}
    return {"reasoning": reasoning} if reasoning else {}
