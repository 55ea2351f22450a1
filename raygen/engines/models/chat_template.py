"""A model's own chat template, rendered by transformers in a process with limits.

A template comes with the model, so it may be anybody's; transformers' sandbox keeps it from
Python's insides, and nothing there ends its loops. Knows nothing of tokens.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from raygen.core.limited import Limits, shared_process

_LIMITS = Limits(memory=512 * 1024 * 1024, cpu_s=5.0, wall_s=30.0)


def render_chat(model: str, tokenizer: Any, turns: Sequence[Mapping[str, str]]) -> str:
    """Return the turns as the tokenizer's chat template writes them, up to where an answer begins.

    Raises LimitError for a template that doesn't end or fills the memory, and jinja's errors.
    """
    from transformers.utils.chat_template_utils import render_jinja_template

    texts: list[str]
    texts, _ = shared_process(f"the chat template of {model}", _LIMITS).call(
        render_jinja_template,
        conversations=[[dict(turn) for turn in turns]],
        chat_template=tokenizer.get_chat_template(),
        add_generation_prompt=True,
        **tokenizer.special_tokens_map,
    )
    return texts[0]
