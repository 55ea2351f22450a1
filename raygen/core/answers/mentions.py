"""Find where a text names options, by letter or by their words, and which of them it denies.

Knows nothing of announcements: every mention counts the same here. Takes folded text
(`characters.fold`).
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Sequence
from string import ascii_uppercase
from typing import Literal, NamedTuple

from raygen.core.answers.characters import CJK
from raygen.core.answers.grammar import Grammar
from raygen.core.answers.options import POLAR, Options, bare_option

_SINGLE = re.compile(r"(?<![A-Za-z0-9])[A-Za-z](?![A-Za-z0-9])")
_SINGLE_OF_ANY_SCRIPT = re.compile(rf"(?<![^\W_{CJK}])[A-Za-z](?![^\W_{CJK}])")
_PAIRS = frozenset(["$$", "{}", "<>", "><", "''", '""', "**", "__", "==", "~~", "``", "|}", "||"])
"""Signs that set a letter off on both sides."""
_FORMULA = frozenset(["(\\", "[\\"])
_ARROWS = ("→", "->", "=>")
_GOES_ON = re.compile(r"[\w'\-/]|\.\w|\s*[=+*<>]")
_GOES_ON_CJK = re.compile(rf"[^\W{CJK}]|['\-/]|\.[^\W{CJK}]|\s*[=+*<>]")
_WORD_FOLLOWS = re.compile(rf"[^\S\n]+[^\W{CJK}]")
_COPULA = re.compile(r"\s+(?:is|was|because|since|seems|must|would|fits|cannot|isn't|wasn't)\b")
_DENIALS = (
    "not", "n't", "never", "nor", "neither", "cannot", "except", "without", "than", "unlike",
    "instead", "eliminat", "rule", "ruling", "exclud", "wrong", "incorrect",
)  # fmt: skip
"""A part of each English word that denies."""
_POLAR_END = re.compile(
    r"[\"'*_)\]}$]*(?:\s*\Z|\s*[.!?:;,\n}\]<—]|\s+[-–—]|\s*\((?!\w\))|\s+(?:because|since|as)\b)"
)

_HEAD = re.compile(
    r"(?:[\s*_`\"'(\[{$<>=~#→:\\]|->|[-–•]\s|\\(?:text|textbf|mathrm|mathbf|textit|boxed)\s*\{)*"
    r"(?<![A-Za-z0-9])([A-Za-z])"
    rf"(?=[\s*_`\"')\]}}>$=~\\]*(?:[^\w\s']|[{CJK}]|$)"
    r"|\s+(?:because|since|as|and|or|is|was)\b)"
)


class Mention(NamedTuple):
    """One option named in `text[start:end]`. (A tuple: many are made for each answer.)

    `by` says how: its letter in brackets ("(b)", "b)", "option B"), a bare capital, or its text.
    """

    option: int
    start: int
    end: int
    by: Literal["letter", "bare", "text"]
    denied: bool = False


def mentions(text: str, lower: str, options: Options, grammar: Grammar) -> list[Mention]:
    """Find all mentions in order, none inside another; a letter beyond the choices is none."""
    listed = letters(text, len(options.choices), grammar)
    taken = [(each.start, each.end) for each in listed if each.by == "letter"]
    words = []
    for start, end, option in options.spans(lower):
        meets = _first_behind(taken, start) if taken else None
        if meets is not None and meets[0] < end:
            continue
        if _stands_alone(text, lower, (start, end), options.choices[option], grammar):
            words.append(Mention(option, start, end, "text"))
    if words:
        spans = [(each.start, each.end) for each in words]
        listed = [each for each in listed if each.by != "bare" or not _inside(spans, each)]
        listed = sorted([*listed, *words], key=lambda each: each.start)
    if not listed or (grammar.only_english and not [each for each in _DENIALS if each in lower]):
        return listed
    return _with_denials(text, listed, grammar)


def letters(text: str, count: int, grammar: Grammar) -> list[Mention]:
    """Find the letters of `count` options, every letter by the same rules."""
    pattern = _SINGLE if text.isascii() else _SINGLE_OF_ANY_SCRIPT
    listed = []
    for match in pattern.finditer(text):
        option = ord(match[0].lower()) - 97
        if option < count:
            mention = _letter(text, match.start(), option, grammar)
            if mention is not None:
                listed.append(mention)
    return listed


def _letter(text: str, at: int, option: int, grammar: Grammar) -> Mention | None:
    end = at + 1
    before, after = text[at - 1 : at] if at else "\n", text[end : end + 1] or "\n"
    if before in "([ " and after in ")] ":
        left = text[max(0, at - 3) : at].rstrip()
        right = text[end : end + 3].lstrip()
        if left[-1:] in ("(", "[") and right[:1] in (")", "]"):
            opening = text.rindex(left[-1], 0, at)
            if not _is_word(text[opening - 1 : opening] if opening else ""):
                closing = text.index(right[0], end) + 1
                return Mention(option, opening, closing, "letter")
    if after == ")" and before not in "([.'_" and not text[at].isdigit():
        return Mention(option, at, end + 1, "letter")
    capital = text[at].isupper()
    if (capital or not _WORD_FOLLOWS.match(text, end)) and not (after == "'" or _is_word(after)):
        called = grammar.called.search(text[max(0, at - 24) : at])
        if called is not None:
            # "Option B" begins a sentence that discusses it, "options B" a list: as a bare B does.
            noun = called[0].rstrip(" *_\"'\t")
            discussed = noun[0].isupper() or noun.endswith("s")
            return Mention(option, at, end, "bare" if discussed else "letter")
    if capital and (
        _is_set_off(text, at, before, after) or _is_bare(text, at, before, after, grammar)
    ):
        return Mention(option, at, end, "bare")
    return None


def _is_word(sign: str) -> bool:
    return bool(sign) and (sign == "_" or sign.isalnum()) and ord(sign) < 0x3005


def _is_set_off(text: str, at: int, before: str, after: str) -> bool:
    """Tell whether signs around a capital set it off: $B$, {B}, <B>, 'B', ==B==, an arrow."""
    if before + after in _PAIRS:
        return True
    if before + after in _FORMULA:
        return text[at - 2 : at - 1] == "\\"
    return text[max(0, at - 3) : at].rstrip().endswith(_ARROWS) and not _is_word(after)


def _is_bare(text: str, at: int, before: str, after: str, grammar: Grammar) -> bool:
    """Tell whether a capital is an option, and no article, pronoun, variable or initial."""
    if before in "'.-/([_" or (before == "-" and at):
        return False
    goes_on = _GOES_ON if text.isascii() else _GOES_ON_CJK
    if goes_on.match(text, at + 1):
        return False
    if grammar.only_english and text[at] not in "AI":
        return True
    if text[at] == "I" and after == ",":
        return grammar.listed.match(text, at + 1) is not None
    if not _WORD_FOLLOWS.match(text, at + 1):
        return True
    if grammar.listed.match(text, at + 1) or _COPULA.match(text, at + 1):
        return True
    return grammar.speaks_of(text[at + 1 : at + 60])


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


def _stands_alone(
    text: str, lower: str, span: tuple[int, int], choice: str, grammar: Grammar
) -> bool:
    """Tell whether a word that any text may have stands as an answer: "No, it isn't", "is: yes"."""
    start, end = span
    word = lower[start:end]
    if word in POLAR:
        if _POLAR_END.match(text, end) is None:
            return False
        line = text.rfind("\n", 0, start) + 1
        if word != bare_option(choice).lower():
            return grammar.filler.match(text[line:start]) is not None
        before = text[:start].rstrip(" \"'*_([{$<>")
        return (
            not before
            or before[-1] in ".!?:;,\n"
            or grammar.filler.match(text, 0, start) is not None
        )
    if len(choice) != 1 or not choice.isalpha() or not choice.isascii():
        return True
    if choice in "AI" and text[start] == choice:
        before, after = text[start - 1 : start] or "\n", text[end : end + 1] or "\n"
        return _is_set_off(text, start, before, after) or _is_bare(
            text, start, before, after, grammar
        )
    return text[start:end] == choice and choice not in "aAI"


def _with_denials(text: str, mentions: Sequence[Mention], grammar: Grammar) -> list[Mention]:
    """Mark denied mentions: "not (b)", "rather than b", "(b) is wrong", "neither a nor b"."""
    denied_before: list[bool] = []
    for index, each in enumerate(mentions):
        before = text[max(0, each.start - 60) : each.start]
        denied = grammar.denied_before.search(before) is not None
        if not denied and index and denied_before[index - 1]:
            between = text[mentions[index - 1].end : each.start]
            denied = grammar.joined.match(between) is not None
        denied_before.append(denied)
    marked: list[Mention] = []
    denied_after = False
    for index in reversed(range(len(mentions))):
        each = mentions[index]
        following = mentions[index + 1] if index + 1 < len(mentions) else None
        limit = following.start if following else len(text)
        joined = following is not None and grammar.joined.match(text[each.end : limit]) is not None
        after = text[each.end : min(limit, each.end + 80)]
        denied_after = (denied_after and joined) or grammar.denied_after.match(after) is not None
        marked.append(each._replace(denied=True) if denied_before[index] or denied_after else each)
    return marked[::-1]


def at_head(line: str, count: int) -> Mention | None:
    """Read a letter at the head of a line, which would not count in running text."""
    match = _HEAD.match(line)
    if match is None:
        return None
    option = ascii_uppercase.index(match[1].upper())
    return Mention(option, match.start(1), match.end(1), "bare") if option < count else None
