"""Whether two answers say the same, as a model judges: what it is asked, and how its word is read.

Knows nothing of engines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from raygen.checks.verdict import Verdict

SAME_SCHEMA: Mapping[str, Any] = {
    "type": "object",
    "properties": {
        "reason": {"type": "string"},
        "same": {"type": "string", "enum": ["yes", "no"]},
    },
    "required": ["reason", "same"],
    "additionalProperties": False,
}

_ENTRY = re.compile(r"""["']same["']\s*:\s*["']?(yes|no)\b["']?\s*\}?\W*\Z""", re.IGNORECASE)


def read_same(text: str) -> Verdict:
    """Read a model's judgement; one that can't be read says that the answers aren't the same."""
    try:
        value = json.loads(text)
    except (ValueError, RecursionError):
        value = None
    said = str(value.get("same", "")).casefold() if isinstance(value, Mapping) else ""
    if isinstance(value, Mapping) and said in ("yes", "no"):
        return Verdict(said == "yes", "model", str(value.get("reason", "")))
    # A small model quotes a text in its reason, and what it writes is no JSON any more.
    if (entry := _ENTRY.search(text)) is not None:
        return Verdict(entry[1].casefold() == "yes", "model", text[: entry.start()].strip()[:200])
    word = text.strip().strip("*\"'`").casefold()
    for answer in ("yes", "no"):
        if word == answer or word.startswith((f"{answer}.", f"{answer},", f"{answer}\n")):
            return Verdict(answer == "yes", "model", text.strip()[:200])
    return Verdict(False, "model", f"no judgement: {text.strip()[:80]!r}")
