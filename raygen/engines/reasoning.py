"""Split a reasoning model's thoughts from its answer.

Knows nothing of engines: it takes a completion's text.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from dataclasses import dataclass

_NAMES = r"(?:think|thinking|thought|reasoning|seed:think)"
_OPEN = re.compile(rf"\A\s*(?:<{_NAMES}>|\[THINK\]|◁think▷)", re.IGNORECASE)
_CLOSE = re.compile(rf"</{_NAMES}>|\[/THINK\]|◁/think▷", re.IGNORECASE)

# gpt-oss writes channels; a server that hides special tokens leaves their names.
_CHANNELS = re.compile(
    r"\A(?:<\|channel\|>)?analysis(?:<\|message\|>)?(?P<thoughts>.*?)(?:<\|end\|>)?"
    r"(?:<\|start\|>)?assistant(?:<\|channel\|>)?final(?:<\|message\|>)?(?P<answer>.*)\Z",
    re.DOTALL,
)
_OPEN_CHANNEL = re.compile(r"\A<\|channel\|>analysis<\|message\|>")


@dataclass(frozen=True, slots=True)
class ThinkingTags:
    """The words between which a model writes its thoughts."""

    opening: str = "<think>"
    closing: str = "</think>"

    def is_open(self, text: str) -> bool:
        """Tell whether a text, as a prompt that a template wrote, ends inside a thought."""
        return text.rfind(self.opening) > text.rfind(self.closing)


_TAGS = (
    ThinkingTags(),
    ThinkingTags("[THINK]", "[/THINK]"),
    ThinkingTags("<seed:think>", "</seed:think>"),
    ThinkingTags("◁think▷", "◁/think▷"),
)


def thinking_tags(vocabulary: Collection[str]) -> ThinkingTags | None:
    """Return the tags that a vocabulary has as single tokens; None for a model without any."""
    return next((t for t in _TAGS if t.opening in vocabulary and t.closing in vocabulary), None)


def split_thinking(text: str, *, is_open: bool = False) -> tuple[str | None, str]:
    """Split a completion into its thoughts, None if there are none, and its answer.

    `is_open`: the prompt ended inside a thought. Where that isn't known, a closing tag alone ends
    one too. A section that never closes makes all of the text thoughts: the answer is empty.
    """
    if channels := _CHANNELS.match(text):
        return channels["thoughts"].strip(), channels["answer"].lstrip()
    opened = _OPEN.match(text) or _OPEN_CHANNEL.match(text)
    start = opened.end() if opened else 0
    closed = list(_CLOSE.finditer(text))
    if closed:
        return text[start : closed[-1].start()].strip(), text[closed[-1].end() :].lstrip()
    if opened or is_open:
        return text[start:].strip(), ""
    return None, text
