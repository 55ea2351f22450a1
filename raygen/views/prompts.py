"""Shorten long texts and prompts for people: what was shown before isn't shown again.

Knows nothing of steps or tables.
"""

from __future__ import annotations

import textwrap
from itertools import takewhile

from raygen.core import count
from raygen.dataset import Call
from raygen.runtime import chat_of

_SHOWN = 600
_SAME = 120
_HEAD = 200


def shorten(text: str, limit: int = _SHOWN) -> str:
    """Cut a text in the middle, with a note of how much is missing."""
    if len(text) <= limit:
        return text
    head, tail = text[: limit // 2].rstrip(), text[-(limit // 2) :].lstrip()
    missing = len(text) - len(head) - len(tail)
    return f"{head}\n[... {count(missing)} characters more; --full shows them ...]\n{tail}"


class Prompts:
    """The prompts of a preview, in the order in which they are shown."""

    def __init__(self, full: bool) -> None:
        self._full = full
        self._last: dict[str, str] = {}

    def show(self, call: Call) -> str:
        """Return the prompt; where it begins as the node's last one did, only what is new."""
        text = _text(call.prompt)
        before = self._last.get(call.node, "")
        self._last[call.node] = text
        if self._full:
            return text
        pairs = zip(before.splitlines(True), text.splitlines(True), strict=False)
        same = sum(len(line) for line, _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
        if _SAME < same < len(text):
            return f"[... {count(same)} characters as above ...]\n{_by_lines(text[same:])}"
        return _by_lines(text)


def _text(prompt: str) -> str:
    turns = chat_of(prompt)
    if turns is None:
        return prompt
    shown = (f"{turn['role']}:\n{textwrap.indent(turn['content'], '  ')}" for turn in turns)
    return "\n".join(shown)


def _by_lines(text: str) -> str:
    """Cut the middle lines of a prompt; its question stands at the end."""
    if len(text) <= _SHOWN:
        return text
    head = text[: text.rfind("\n", 0, _HEAD) + 1]
    start = text.find("\n", len(text) - (_SHOWN - _HEAD)) + 1
    if not head or not start:
        return shorten(text)
    missing = start - len(head)
    return f"{head}[... {count(missing)} characters more; --full shows them ...]\n{text[start:]}"
