"""A model's own chat template, rendered by transformers in a process with limits.

A template comes with the model, so it may be anybody's; transformers' sandbox keeps it from
Python's insides, and nothing there ends its loops. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.core.limited import Limits, shared_process
from raygen.engines.base import Thinking

_SWITCHES = ("enable_thinking", "thinking")
_LIMITS = Limits(memory=512 * 1024 * 1024, cpu_s=5.0, wall_s=30.0)


def thinking_args(thinking: Thinking | None) -> dict[str, Any]:
    """Return what chat templates call a way to think; a template skips the names of others.

    `enable_thinking` (Qwen3, SmolLM3, GLM, Hunyuan, Nemotron), `thinking` (DeepSeek, Granite,
    Kimi), `reasoning_effort` (gpt-oss) and `thinking_budget` (Seed-OSS).
    """
    if thinking is None:
        return {}
    switch = {} if thinking.mode == "auto" else dict.fromkeys(_SWITCHES, thinking.mode == "on")
    named = {"reasoning_effort": thinking.effort, "thinking_budget": thinking.budget}
    return {**switch, **{name: value for name, value in named.items() if value is not None}}


def render_chat(
    model: str,
    tokenizer: Any,
    turns: Sequence[Mapping[str, str]],
    template_args: Mapping[str, Any] | None = None,
) -> str:
    """Return the turns as the tokenizer's chat template writes them, up to where an answer begins.

    `template_args` are what the template takes beside them.

    Raises LimitError for a template that doesn't end or fills the memory, and jinja's errors.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    texts: list[str]
    texts, _ = shared_process(f"the chat template of {model}", _LIMITS).call(
        render_jinja_template,
        conversations=[[dict(turn) for turn in turns]],
        chat_template=tokenizer.get_chat_template(),
        add_generation_prompt=True,
        **{**tokenizer.special_tokens_map, **(template_args or {})},
    )
    return texts[0]
