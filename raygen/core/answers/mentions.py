"""Find where a text names options, by letter or by their words, and which of them it denies.

Knows nothing of announcements: every mention counts the same here.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from string import ascii_uppercase
from typing import Literal

_ARTICLE = re.compile(r"^(?:the|an?)\s+", re.IGNORECASE)
_LETTERS = re.compile(
    r"(?<!\w)(?P<open>[(\[])\s*(?P<in>[A-Za-z])\s*[)\]]"
    r"|(?<![\w(\[.'’])(?P<closed>[A-Za-z])\)"
    r"|(?<![\w'’.\-/])(?:option|choice|answer)s?\s+[\"'“‘*_]{0,3}(?P<called>[A-Z]|[a-z](?!\s+\w))"
    r"(?![\w'’])"
    r"|(?<![\w'’.\-/(\[])(?P<bare>[B-HJ-Z](?![\w'’\-/]|\.\w|\s*[=+*<>])"
    r"|[AI](?=(?:\s*[,/]\s*|,?\s+(?:and|or|nor)\s+)\(?[B-Z]\b)|A(?=[,.](?:\s|\Z)))",
)
_JOINT = r"[\s,;/&*_\"'“”‘’]*(?:(?:and|or|nor|and/or)\b)?[\s*_\"'“”‘’]*(?:the\b|an?\b)?\s*"
_JOINED = re.compile(rf"\A{_JOINT}\Z", re.IGNORECASE)
_COORDINATED = re.compile(
    r"\A[\s.*_\"'“”‘’)]*(?:,|/|&|\band\b|\bor\b|\band/or\b)[\s*_\"'“”‘’(]*"
    r"(?:(?:and|or|then|the|an?|possibly|maybe|perhaps|also|option|choice)\s+){0,2}[(*_\"'“‘]*\Z",
    re.IGNORECASE,
)
_BEFORE = re.compile(
    r"(?:\b(?:not|never|neither|nor|cannot|except|without|than|unlike|isn['’]?t|wasn['’]?t|aren['’]?t"
    r"|can['’]?t|won['’]?t|wouldn['’]?t|couldn['’]?t|doesn['’]?t|don['’]?t"
    r"|rather\s+than|instead\s+of|eliminat(?:e|es|ed|ing)|rul(?:e|es|ed|ing)\s+out|exclud(?:e|es|ed|ing))"
    r"\s+)(?:(?:be|the|an?|is|option|options|choice|choices|answer|necessarily|really|just|to|in|at)"
    r"\s+){0,3}[\"'“‘*_]{0,3}\Z",
    re.IGNORECASE,
)
_AFTER = re.compile(
    r"\A[\"'”’*_)\s]{0,4}(?:(?:is|are|was|were|does|do|did|would|could|can|should)"
    r"(?:\s*n['’]t\b|\s+not\b)|cannot\b|can['’]t\b"
    r"|(?:is|are|was|were|would\s+be|can\s+be|seems?)\s+(?:also\s+)?"
    r"(?:incorrect|wrong|eliminated|ruled\s+out|excluded)\b)",
    re.IGNORECASE,
)
FILLER = re.compile(
    r"\A[\s:*_`\"'“‘$(]*(?:(?:option|choice|letter|number|answer|the|an?|most|more|probably|likely|very"
    r"|definitely|definitively|certainly|clearly|simply|therefore|thus|hence|indeed|that|to|in|at|on|of|be|it|is|would"
    r"|perhaps|possibly|then|actually|obviously)\b[\s:*_`\"'“‘$(]*)*\Z",
    re.IGNORECASE,
)
"""What may stand between an announcement and the answer itself."""
_POLAR = frozenset({"yes", "no", "true", "false"})
_SAME = {"yes": "true", "no": "false", "true": "yes", "false": "no"}


@dataclass(frozen=True, slots=True)
class Mention:
    """One option named in `text[start:end]`.

    `by` says how: its letter in brackets ("(b)", "b)", "option B"), a bare capital, or its text.
    """

    option: int
    start: int
    end: int
    by: Literal["letter", "bare", "text"]
    denied: bool = False


def mentions(text: str, choices: Sequence[str]) -> list[Mention]:
    """Find all mentions in order, none inside another; a letter beyond the choices is none."""
    in_text: list[Mention] = []
    for match in _LETTERS.finditer(text):
        name = match["in"] or match["closed"] or match["called"] or match["bare"]
        option = ascii_uppercase.index(name.upper())
        if option < len(choices):
            in_text.append(Mention(option, *match.span(), "bare" if match["bare"] else "letter"))
    taken = [(each.start, each.end) for each in in_text if each.by == "letter"]
    for match in _options_pattern(tuple(choices)).finditer(text):
        meets = _first_behind(taken, match.start())
        if meets is not None and meets[0] < match.end():
            continue
        index = int(str(match.lastgroup)[1:])
        if _stands_alone(text, match, choices[index]):
            in_text.append(Mention(index, *match.span(), "text"))
    texts = [(each.start, each.end) for each in in_text if each.by == "text"]
    in_text = [each for each in in_text if each.by != "bare" or not _inside(texts, each)]
    return _with_denials(text, sorted(in_text, key=lambda each: each.start))


def _first_behind(spans: Sequence[tuple[int, int]], position: int) -> tuple[int, int] | None:
    """Return the first of some ordered spans that ends after a position."""
    at = bisect_right(spans, position, key=lambda span: span[1])
    return spans[at] if at < len(spans) else None


def _inside(spans: Sequence[tuple[int, int]], mention: Mention) -> bool:
    around = _first_behind(spans, mention.start)
    return around is not None and around[0] <= mention.start and mention.end <= around[1]


def asserted(mentions: Sequence[Mention]) -> set[int]:
    """Collect the options that are named and not denied."""
    return {each.option for each in mentions if not each.denied}


def coordinated(between: str) -> bool:
    """Tell whether the text between two mentions coordinates them: "or", "and", a comma."""
    return _COORDINATED.match(between) is not None


def bare_option(option: str) -> str:
    """Strip an option's full stop and article, which answers add and leave out."""
    return _ARTICLE.sub("", option.strip().rstrip(".")) or option


def same_worded_options(choices: Sequence[str], option: int) -> set[int]:
    """List the options with the same words as this one, including itself."""
    words = bare_option(choices[option]).casefold()
    return {i for i, choice in enumerate(choices) if bare_option(choice).casefold() == words}


@lru_cache(maxsize=4096)
def _options_pattern(choices: tuple[str, ...]) -> re.Pattern[str]:
    order = sorted(range(len(choices)), key=lambda i: -len(bare_option(choices[i])))
    parts = [f"(?P<o{i}>{'|'.join(_forms(choices, i))})" for i in order]
    return re.compile("|".join(parts), re.IGNORECASE)


def _forms(choices: Sequence[str], index: int) -> list[str]:
    bare = bare_option(choices[index])
    body = r"\s+".join(re.escape(word) for word in bare.split()) or "(?!)"
    if len(bare) >= 4 and bare[-1].isalpha():
        # One apple, two apples: a letter s at the end is no other option.
        body = body + "s?" if bare[-1] not in "sS" else body + "?"
    others = {bare_option(choice).casefold() for choice in choices}
    forms = [_whole_word(body)]
    if len(choices) == 2 and bare.casefold() in _SAME and others <= _POLAR:
        forms.append(_whole_word(_SAME[bare.casefold()]))
    return forms


def _whole_word(body: str) -> str:
    return rf"(?<!\w)(?<!\d[.,])(?:{body})(?!\w)(?![.,]\d)"


def _stands_alone(text: str, match: re.Match[str], choice: str) -> bool:
    """Tell whether a word that any text may have stands as an answer: "No, it isn't", "is: yes"."""
    word = match.group().casefold()
    if word in _POLAR:
        before = text[: match.start()]
        after = text[match.end() :].lstrip(" \"'”’*_)")
        if after and after[0] not in ".!?:;,\n":
            return False
        if word != bare_option(choice).casefold():
            return FILLER.match(before.rsplit("\n", 1)[-1]) is not None
        start = before.rstrip(" \"'“‘*_(")
        return not start or start[-1] in ".!?:;,\n" or FILLER.match(before) is not None
    if len(choice) == 1 and choice.isalpha():
        return match.group() == choice and choice not in ("a", "A", "I")
    return True


def _with_denials(text: str, mentions: Sequence[Mention]) -> list[Mention]:
    """Mark denied mentions: "not (b)", "rather than b", "(b) is wrong", "neither a nor b"."""
    denied_before: list[bool] = []
    for index, each in enumerate(mentions):
        before = text[max(0, each.start - 60) : each.start]
        denied = _BEFORE.search(before) is not None
        if not denied and index and denied_before[index - 1]:
            denied = _JOINED.match(text[mentions[index - 1].end : each.start]) is not None
        denied_before.append(denied)
    marked: list[Mention] = []
    denied_after = False
    for index in reversed(range(len(mentions))):
        each = mentions[index]
        following = mentions[index + 1] if index + 1 < len(mentions) else None
        limit = following.start if following else len(text)
        joined = following is not None and _JOINED.match(text[each.end : limit]) is not None
        denied_after = (denied_after and joined) or (
            _AFTER.match(text[each.end : min(limit, each.end + 80)]) is not None
        )
        denied = denied_before[index] or denied_after
        marked.append(Mention(each.option, each.start, each.end, each.by, denied))
    return marked[::-1]
