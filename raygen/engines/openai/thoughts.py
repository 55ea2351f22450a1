"""What a message of an endpoint says and thinks, in whatever form the server writes it.

Pure: knows nothing of the rest of a reply.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

_THINKING = ("reasoning_content", "reasoning", "thinking", "reasoning_details", "thinking_blocks")
"""Keys of a message under which servers give thoughts; some give them under two."""


def read_message(message: Mapping[str, Any]) -> tuple[str, str | None]:
    """Return the text of a message, and its thoughts, None if there are none.

    Either may be a text or a list of parts, thoughts a part of the content (Mistral, Anthropic) or
    a key beside it (vLLM, DeepSeek, OpenRouter, Ollama). Raises TypeError for another content.
    """
    content = message.get("content")
    if content is not None and not isinstance(content, str | list):
        raise TypeError(f"text is a {type(content).__name__}")
    parts = content if isinstance(content, list) else []
    thoughts = [text for part in parts if _is_thought(part) for text in _texts(part)]
    texts = [text for part in parts if not _is_thought(part) for text in _texts(part)]
    if not thoughts:
        named = (list(_texts(message.get(name))) for name in _THINKING)
        thoughts = next(filter(None, named), [])
    thinking = "".join(thoughts).strip() if thoughts else None
    return content if isinstance(content, str) else "".join(texts), thinking


def count_thinking_tokens(usage: Mapping[str, Any]) -> int:
    """Return the tokens of thoughts that a server counted, 0 where it says nothing of them."""
    for name in ("completion_tokens_details", "output_tokens_details"):
        details = usage.get(name)
        if isinstance(details, Mapping) and isinstance(details.get("reasoning_tokens"), int):
            return max(0, int(details["reasoning_tokens"]))
    return 0


def _is_thought(part: Any) -> bool:
    kind = part.get("type") if isinstance(part, Mapping) else None
    return isinstance(kind, str) and ("thinking" in kind or "reasoning" in kind)


def _texts(part: Any) -> Iterator[str]:
    """Yield the texts in a part, which may be a list of parts, or hold one under its own name."""
    if isinstance(part, str):
        if part:
            yield part
    elif isinstance(part, list):
        for inner in part:
            yield from _texts(inner)
    elif isinstance(part, Mapping):
        for name in ("text", "thinking", "reasoning", "summary", "content"):
            if isinstance(part.get(name), str | list):
                yield from _texts(part[name])
                return
