"""Split a reasoning model's thoughts from its answer.

Knows nothing of engines: it takes a completion's text.
"""

from __future__ import annotations

import re

_OPEN = re.compile(r"\A\s*<(think|thinking|reasoning)>", re.IGNORECASE)
_CLOSE = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)


def split_thinking(text: str) -> tuple[str | None, str]:
    """Split a completion into its thoughts, None if there are none, and its answer.

    A chat template may have opened the section already, so a closing tag alone ends one too. A
    section that never closes makes all of the text thoughts: the answer is empty.
    """
    opened = _OPEN.match(text)
    closed = list(_CLOSE.finditer(text))
    if closed:
        start = opened.end() if opened else 0
        return text[start : closed[-1].start()].strip(), text[closed[-1].end() :].lstrip()
    if opened:
        return text[opened.end() :].strip(), ""
    return None, text
