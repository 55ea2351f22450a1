"""What can be wrong with an answer whatever it was asked for, each with a reject reason of its own.

Knows nothing of options, labels or any one op.
"""

from __future__ import annotations

import re

from raygen.core import Reject
from raygen.engines import Completion

_REFUSAL = re.compile(
    r"\A\W*(?:i['’]?m sorry,? (?:but )?|i apologi[sz]e,? (?:but )?|unfortunately,? "
    r"|as an ai\b[^.]*,? )?i (?:can(?:no|['’])t|am (?:not able|unable)|won['’]t|must decline)\b"
    r"[^.\n]{0,60}\b(?:assist|help|provide|answer|comply|fulfil|generate|write|create|do that)",
    re.IGNORECASE,
)
_REFUSED = frozenset({"refusal", "content_filter"})


def completion_reject(answer: Completion, *, cut_off_counts: bool = True) -> Reject | None:
    """Return the reject of an answer that can't be used as it stands, None for one that can be
    read.

    `empty` (also where there are thoughts and no answer), `truncated` (max_tokens cut it off;
    unless `cut_off_counts` is False), `refused` (by the engine's word or by its first sentence).
    """
    text = answer.text.strip()
    if answer.finish_reason in _REFUSED or _REFUSAL.match(text):
        return Reject("refused", text[:80] or answer.finish_reason)
    if answer.finish_reason == "length" and (cut_off_counts or not text):
        return Reject("truncated", f"cut off after {answer.output_tokens} tokens: {text[-80:]!r}")
    if not text:
        return Reject("empty", "nothing but thoughts" if answer.thinking else "the answer is empty")
    return None
