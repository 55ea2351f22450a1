"""The patterns of the languages that a text shows, compiled together.

English is always one of them. Each set of languages is compiled once, when a text first needs it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from raygen.core.answers.characters import CJK, LETTER
from raygen.core.answers.languages import LANGUAGES, Cue, Language


def _of_words(patterns: Sequence[str]) -> str:
    """Join alternatives, whole words where the script has any."""
    parts = [
        rf"(?:{each})" if re.search(rf"[{CJK}]", each) else rf"(?<!{LETTER})(?:{each})(?!{LETTER})"
        for each in patterns
        if each
    ]
    return "|".join(parts) or "(?!)"


class CompiledCue:
    """A cue's patterns."""

    __slots__ = ("lead", "onward", "required", "unless", "words")

    def __init__(self, cue: Cue) -> None:
        self.words = cue.words
        self.lead = re.compile(rf"(?<!{LETTER})(?:{cue.lead})\Z", re.IGNORECASE)
        if re.search(rf"[{CJK}]", cue.words[0]):
            self.lead = re.compile(rf"(?:{cue.lead})\Z", re.IGNORECASE)
        self.onward = re.compile(cue.onward, re.IGNORECASE)
        self.required = cue.required
        self.unless = cue.unless


class Grammar:
    """The compiled patterns of some languages together: English and those that a text shows."""

    def __init__(self, languages: Sequence[Language]) -> None:
        """Compile the patterns."""
        self.only_english = len(languages) == 1
        self.cues = [CompiledCue(cue) for each in languages for cue in each.cues]
        fillers = _of_words([each.filler for each in languages])
        joints = _of_words([each.joint for each in languages])
        nouns = _of_words(["|".join(each.nouns for each in languages)])
        edge = r"[\s*_\"'&/,;]*"
        self.joined = re.compile(
            rf"\A{edge}(?:{joints})?[\s*_\"']*(?:\b(?:the|an?)\b)?\s*\Z", re.IGNORECASE
        )
        self.coordinated = re.compile(
            rf"\A[\s.*_\"')]*(?:,|/|&|、|{joints})[\s*_\"'(]*"
            rf"(?:(?:{joints}|then|{fillers}|possibly|maybe|perhaps|also)\s*){{0,3}}[(*_\"'\[]*\Z",
            re.IGNORECASE,
        )
        self.denied_before = re.compile(
            rf"(?:{_of_denials([each.denied_before for each in languages])})[\"'*_(\[]{{0,3}}\Z",
            re.IGNORECASE,
        )
        after = "|".join(f"(?:{each.denied_after})" for each in languages if each.denied_after)
        self.denied_after = re.compile(rf"\A[\"'*_)\]\s]{{0,4}}(?:{after})", re.IGNORECASE)
        afterwards = "|".join(f"(?:{each.afterwards})" for each in languages)
        self.afterwards = re.compile(
            rf"\A[\s*_\"')\]}}>$]*(?:[-–—]\s)?(?:{afterwards})", re.IGNORECASE
        )
        run = rf"[\s:*_`\"'$({{\[]*(?:(?:{fillers})[\s:*_`\"'$({{\[]*)*"
        self.filler = re.compile(rf"\A{run}\Z", re.IGNORECASE)
        self.fillers = re.compile(run, re.IGNORECASE)
        self.called = re.compile(
            rf"(?:{nouns})s?(?:\s+|(?<=[{CJK}]))[\"'*_]{{0,3}}\Z", re.IGNORECASE
        )
        self.listed = re.compile(
            rf"(?:\s*[,/、]\s*|,?\s*(?:{joints})\s*)[(\[]?(?-i:[A-Z])(?!{LETTER})", re.IGNORECASE
        )
        because = _of_words([each.because for each in languages])
        self.because = re.compile(rf"\A[\s,;:*_`)\"'.-]*(?:{because})\s*", re.IGNORECASE)
        self.explains = re.compile(
            rf"[\s,;]\s*(?:{because}|\b(?:which|where|while|whereas|for|given|due\s+to|so\s+that)\b)"
            r"|\s[-–—]\s|;|:",
            re.IGNORECASE,
        )

    def speaks_of(self, rest: str) -> bool:
        """Tell whether a text in another language says more of the option that it follows."""
        return not self.only_english and bool(
            self.afterwards.match(rest) or self.denied_after.match(rest) or self.because.match(rest)
        )


def _of_denials(patterns: Sequence[str]) -> str:
    parts = [
        rf"(?:{each})" if re.search(rf"[{CJK}]", each) else rf"(?<!{LETTER})(?:{each})"
        for each in patterns
        if each
    ]
    return "|".join(parts)


@lru_cache(maxsize=256)
def _grammar(names: tuple[int, ...]) -> Grammar:
    return Grammar([LANGUAGES[index] for index in names])


_MOST_LANGUAGES = 3
"""What shows more of them is read with all, so that few sets are ever compiled."""
_HINTS = [(hint, index) for index, each in enumerate(LANGUAGES) for hint in each.hints]
_ASCII_HINTS = [(hint, index) for hint, index in _HINTS if hint.isascii()]


def grammar_of(lower: str) -> Grammar:
    """Return the patterns of English and of the languages whose words a lower-case text has."""
    hints = _ASCII_HINTS if lower.isascii() else _HINTS
    spoken = {index for hint, index in hints if hint in lower}
    if not spoken:
        return _grammar((0,))
    if len(spoken) > _MOST_LANGUAGES:
        return _grammar(tuple(range(len(LANGUAGES))))
    return _grammar((0, *sorted(spoken)))
