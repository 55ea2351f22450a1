"""The gold answer of a column that may hold a worked solution: GSM8K's "#### 18", MATH's box.

Knows nothing of sources.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from raygen.core.answers.announced import announcements
from raygen.core.answers.characters import fold
from raygen.core.answers.free import read_free_answer
from raygen.core.answers.grammar import grammar_of

_RESULT = re.compile(r"(?:\A|\n|(?<=\s))####[^\S\n]*(?P<result>[^\n]*\S)[^\S\n]*\s*\Z")
_LONG = 12
"""A text of so many words is a solution, where it announces an answer."""


@dataclass(frozen=True, slots=True)
class GoldAnswer:
    """A gold answer as it is written, and the worked solution that it ended, if there was one."""

    text: str
    solution: str | None = None


def read_gold(text: str) -> GoldAnswer:
    """Read a gold column as an answer is read, where it holds more than the answer.

    What follows the last "####" is the answer, or what the last box holds, or what a text of
    several lines or of a dozen words announces. Anything else is the answer itself.
    """
    written = text.strip()
    result = _RESULT.search(written)
    if result is not None:
        return _with_solution(result["result"].strip(), written, written[: result.start()])
    plain = fold(written)
    lower = plain.lower()
    phrases = announcements(plain, lower, grammar_of(lower))
    is_boxed = bool(phrases) and phrases[-1].value is not None
    is_long = "\n" in written or len(written.split()) >= _LONG
    if not (is_boxed or (phrases and is_long)):
        return GoldAnswer(written)
    read = read_free_answer(written)
    if read.text is None or read.confidence < 0.95:
        return GoldAnswer(written)
    return _with_solution(read.text, written, read.rationale)


def _with_solution(answer: str, written: str, reasoning: str) -> GoldAnswer:
    return GoldAnswer(answer, written if re.search(r"\w", reasoning) else None)
