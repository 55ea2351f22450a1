"""Reading a model's answer: which option a text names, and the reasoning that led there.

Knows nothing of engines or ops. What can't be read as exactly one option is None, never a guess:
it counts in a vote's denominator and as wrong in an evaluation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_lowercase

_PHRASE = re.compile(
    r"(?:so|therefore|thus|hence)?,?\s*(?:the\s+)?(?:correct\s+|best\s+|right\s+|final\s+)?"
    r"(?:answer|option|choice)\s*(?:is|:|would\s+be|must\s+be)\s*:?\s*",
    re.IGNORECASE,
)
_LETTER = re.compile(
    r"\s*(?:option\s+)?(?:\(([a-z])\)|\[([a-z])\]"
    r"|([a-z])(?=\s*(?:[^\w\s']|$)|\s+(?:because|since|as)\b))",
    re.IGNORECASE,
)
_ARTICLE = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)
_BARE_LETTER = re.compile(r"\(([a-zA-Z])\)")


@dataclass(frozen=True, slots=True)
class Answer:
    """What a text says: the option's index or None, and the text before the answer phrase."""

    option: int | None
    rationale: str


def read_answer(text: str, choices: Sequence[str]) -> Answer:
    """Read the option that `text` settles on, and strip the phrase that announces it.

    The last announcing phrase ("So the answer is: (b)") counts; without one, the text must name
    exactly one option by letter in parentheses, or by its text.
    """
    text = text.strip()
    phrases = list(_PHRASE.finditer(text))
    for phrase in reversed(phrases):
        option = _announced(text[phrase.end() :], choices)
        if option is not None:
            return Answer(option, _tidy(text[: phrase.start()]))
    if phrases:
        return Answer(None, _tidy(text[: phrases[-1].start()]))
    return Answer(_only_named(text, choices), text)


def names_option(text: str, option: str) -> bool:
    """Whether the text has the option as whole words, whatever the case and the article."""
    words = re.escape(_bare(option))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _announced(tail: str, choices: Sequence[str]) -> int | None:
    first_line = tail.split("\n", 1)[0]
    by_text = _starts_with_option(first_line, choices)
    if by_text is not None:
        return by_text
    letter = _LETTER.match(first_line)
    if letter is None:
        named = [i for i, choice in enumerate(choices) if names_option(first_line, choice)]
        return named[0] if len(named) == 1 else None
    index = ascii_lowercase.index(next(group for group in letter.groups() if group).lower())
    others = {ascii_lowercase.index(m.lower()) for m in _BARE_LETTER.findall(first_line)} - {index}
    return index if index < len(choices) and not others else None


def _starts_with_option(tail: str, choices: Sequence[str]) -> int | None:
    start = tail.lstrip(" \"'`*").casefold()
    found = [
        i
        for i, choice in enumerate(choices)
        if re.match(rf"(?:the\s+|an?\s+)?{re.escape(_bare(choice).casefold())}(?!\w)", start)
    ]
    if not found:
        return None
    return max(found, key=lambda i: len(choices[i]))


def _bare(option: str) -> str:
    """The option without its ending stop and its article, which answers add and leave out."""
    return _ARTICLE.sub("", option.strip().rstrip(".")) or option


def _only_named(text: str, choices: Sequence[str]) -> int | None:
    letters = {ascii_lowercase.index(m.lower()) for m in _BARE_LETTER.findall(text)}
    letters = {index for index in letters if index < len(choices)}
    if letters:
        return letters.pop() if len(letters) == 1 else None
    named = [i for i, choice in enumerate(choices) if names_option(text, choice)]
    return named[0] if len(named) == 1 else None


def _tidy(rationale: str) -> str:
    return rationale.rstrip().rstrip(",;:-").rstrip()
