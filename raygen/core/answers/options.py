"""The words of a question's options, and where a text has them.

Takes folded text (`characters.fold`) in lower case. Plain searches, no regular expression: options
are others in every row, and compiling one costs more than reading the answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import NamedTuple

from raygen.core.answers.characters import CJK, fold

POLAR = frozenset({"yes", "no", "true", "false"})
_MOST_DIGITS = 100
"""Of a number that is written with commas, too."""
_SAME = {"yes": "true", "no": "false", "true": "yes", "false": "no"}
_ARTICLE = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)
_HALVES = {"1/2": "½", "1/3": "⅓", "2/3": "⅔", "1/4": "¼", "3/4": "¾", "1/5": "⅕", "1/8": "⅛"}
_FRACTION = re.compile(r"(-?)(\d+)/(\d+)|(-?)\\[dt]?frac\{?(\d+)\}?\{?(\d+)\}?")
_WORD = re.compile(r"[^\W\d_]{2}")
_UNSPACED = re.compile(rf"[{CJK}]")
_OPERATOR_BEFORE = re.compile(r"[-+±^/×·]\Z|\w\*\Z|[\w)]\s[+*/×]\s\Z")
_OPERATOR_AFTER = re.compile(r"[\^/×·²³]|'(?=[\w(])|[-+*](?=\w)|\s(?:[+*/×]\s\w|-\s\d)")
_MOST_HITS = 1000


def bare_option(option: str) -> str:
    """Strip an option's full stop and article, which answers add and leave out."""
    return _ARTICLE.sub("", option.strip().rstrip(".")) or option


class Form(NamedTuple):
    """One way to write an option: its lower-case words, and what may not stand beside them."""

    option: int
    text: str
    plural: bool
    formula: bool
    opens: bool
    closes: bool
    """Whether its first and its last sign must not be inside a longer word."""

    def spans(self, lower: str) -> Iterator[tuple[int, int]]:
        """Find where a text has it as whole words, with or without a plural's s."""
        at, hits = lower.find(self.text), 0
        while at >= 0 and hits < _MOST_HITS:
            end, hits = at + len(self.text), hits + 1
            if self.plural and lower[end : end + 1] == "s":
                end += 1
            if self._stands_free(lower, at, end):
                yield at, end
            at = lower.find(self.text, at + 1)

    def _stands_free(self, lower: str, at: int, end: int) -> bool:
        before, after = lower[at - 1 : at] if at else "", lower[end : end + 1]
        if self.opens and (before == "_" or before.isalnum()) and not _UNSPACED.match(before):
            return False
        if self.closes and (after == "_" or after.isalnum()) and not _UNSPACED.match(after):
            return False
        if before in (".", ",") and before and lower[at - 2 : at - 1].isdigit():
            return False
        if after in (".", ",") and after and lower[end + 1 : end + 2].isdigit():
            return False
        return not self.formula or _is_whole_formula(lower, at, end)


def _is_whole_formula(lower: str, at: int, end: int) -> bool:
    """Tell whether a number or formula goes on neither before nor after: -5, 5/6, x + 5."""
    before = lower[max(0, at - 4) : at]
    if lower[at] in "-+":
        if before[-1:].isalnum() or before[-1:] in (")", "]", "}"):
            return False
    elif _OPERATOR_BEFORE.search(before):
        return False
    return _OPERATOR_AFTER.match(lower, end) is None


@dataclass(frozen=True, slots=True)
class Options:
    """A question's options in all their forms, the longest first."""

    choices: tuple[str, ...]
    words: tuple[str, ...]
    forms: tuple[Form, ...]

    def same_worded(self, option: int) -> set[int]:
        """List the options with the same words as this one, including itself."""
        return {i for i, words in enumerate(self.words) if words == self.words[option]}

    def spans(self, lower: str) -> list[tuple[int, int, int]]:
        """Find all options in a text as (start, end, option), none inside another, in order."""
        hits = []
        spaced = "\n" in lower or "  " in lower
        text = re.sub(r"\s", " ", lower) if spaced else lower
        for form in self.forms:
            if form.text in text:
                hits += [(start, -end, form.option) for start, end in form.spans(text)]
            elif spaced and " " in form.text:
                hits += [(start, -end, form.option) for start, end in _loosely(form.text, text)]
        kept: list[tuple[int, int, int]] = []
        for start, end, option in sorted(hits) if len(hits) > 1 else hits:
            if not kept or start >= kept[-1][1]:
                kept.append((start, -end, option))
        return kept


def _loosely(words: str, text: str) -> list[tuple[int, int]]:
    """Find words that are parted by more than one space."""
    if words.split(" ", 1)[0] not in text:
        return []
    pattern = r"\s+".join(re.escape(word) for word in words.split(" "))
    return [match.span() for match in re.finditer(rf"(?<!\w){pattern}(?!\w)", text)]


@lru_cache(maxsize=4096)
def options_of(choices: tuple[str, ...]) -> Options:
    """Prepare a question's options."""
    words = tuple([" ".join(bare_option(fold(choice)).lower().split()) for choice in choices])
    polar = len(choices) == 2 and POLAR.issuperset(words)
    forms = [
        form
        for option, text in enumerate(words)
        for written in _ways_to_write(text, polar)
        if written
        for form in [_form(option, written)]
    ]
    return Options(choices, words, tuple(sorted(forms, key=lambda form: -len(form.text))))


def _form(option: int, text: str) -> Form:
    plural = len(text) >= 4 and text[-1].isalpha() and text[-1] != "s"
    stem = text[:-1] if len(text) >= 4 and text[-1] == "s" and text[-2].isalpha() else text
    first, last = text[0], text[-1]
    opens, closes = first == "_" or first.isalnum(), last == "_" or last.isalnum()
    formula = _WORD.search(text) is None
    if not text.isascii():
        opens = opens and not _UNSPACED.match(first)
        closes = closes and not _UNSPACED.match(last)
        formula = formula and not _UNSPACED.search(text)
    return Form(option, stem, plural or stem != text, formula, opens, closes)


def _ways_to_write(text: str, polar: bool) -> Iterator[str]:
    yield text
    if polar:
        yield _SAME[text]
        return
    if len(text) > 2 and text[0] == text[-1] == "$":
        yield text[1:-1].strip()
    if text.isdecimal() and 3 < len(text) <= _MOST_DIGITS:
        yield f"{int(text):,}"
    elif "," in text and re.fullmatch(r"\d{1,3}(?:,\d{3})+", text):
        yield text.replace(",", "")
    is_fraction = "/" in text or "frac" in text
    fraction = _FRACTION.fullmatch(text.strip("$")) if is_fraction else None
    if fraction:
        sign, above, below = fraction.groups()[:3] if fraction[2] else fraction.groups()[3:]
        for form in (f"{above}/{below}", _HALVES.get(f"{above}/{below}", "")):
            if form and sign + form != text:
                yield sign + form
        for command in ("frac", "dfrac", "tfrac"):
            if (written := f"{sign}\\{command}{{{above}}}{{{below}}}") != text:
                yield written


def names_option(text: str, option: str) -> bool:
    """Tell whether the text has the option as whole words, ignoring case and a leading article."""
    words = re.escape(bare_option(option))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None
