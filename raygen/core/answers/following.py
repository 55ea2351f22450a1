"""Which option stands at a position of a text: right after an announcement, or at a line's head.

Knows nothing of where announcements are, nor of which of several counts.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from string import ascii_uppercase
from typing import NamedTuple

from raygen.core.answers.announced import names_question
from raygen.core.answers.characters import fold
from raygen.core.answers.grammar import Grammar
from raygen.core.answers.mentions import Mention, asserted, at_head, mentions
from raygen.core.answers.options import Options

SENTENCE_END = re.compile(r"(?<=[.!?])[\"'*_)]*\s+(?=[\"'*_(]*[A-ZÀ-ÞА-Я(])|\n|。")
_NONE_OF_THEM = re.compile(
    r"\A\W*(?:none\s+of|not\s+(?:among|in|listed|given)\b|neither\b)", re.IGNORECASE
)
_ANSWER_HEADING = re.compile(
    r"(?:\A|\n)[^\S\n]*[#*_]*[^\S\n]*(?:the\s+)?(?:(?:final|correct)\s+)?answer[\s*_:]*\Z",
    re.IGNORECASE,
)
_NAME = re.compile(r"\A[)\].:]?[\s*_]+[\"']?([^\W_]\w*)")
_WORD_GOES_ON = re.compile(r"\A[-‑–/.]\w")
"""What makes a letter the beginning of something else: e-paper, A-frame, e.g., B/C."""
_FUNCTION_WORD = re.compile(
    r"and|or|but|so|not|is|are|was|in|on|at|by|with|from|to|the|this|that|these|because|since|as|if"
    r"|when|it|they|he|she|we|i|you|which|who|than|then",
    re.IGNORECASE,
)
_LONGEST_NAME = 6
_LONGEST_FILLER = 60
LONGEST_LINE = 1000
"""So many characters of a line are looked at for the option that it names."""
_STEM = 4
_ALIKE = 0.6


class NamedOption(NamedTuple):
    """What an announcement names: one option, none, or several (`torn`)."""

    option: int | None = None
    confidence: float = 0.0
    end: int = 0
    torn: bool = False


@dataclass(frozen=True, slots=True)
class AnswerText:
    """A text with what reading it takes; `plain` is its folded form, as long as itself."""

    written: str
    plain: str
    lower: str
    options: Options
    grammar: Grammar

    def before(self, end: int) -> str:
        """Return what is written up to a position, without the signs that led to an answer."""
        return tidy(self.written[:end])

    def up_to(self, end: int) -> AnswerText:
        """Return the beginning of the text."""
        return replace(
            self, written=self.written[:end], plain=self.plain[:end], lower=self.lower[:end]
        )


def read_option_at(text: AnswerText, start: int, stop: int, weak: bool) -> NamedOption:
    """Read the option right after an announcement, or else the only one named there."""
    plain, grammar = text.plain, text.grammar
    while start < stop and plain[start].isspace():
        start += 1
    line_end = plain.find("\n", start, min(stop, start + LONGEST_LINE))
    line_end = line_end if line_end >= 0 else min(stop, start + LONGEST_LINE)
    line = plain[start:line_end]
    if weak and not _may_lead(text, start, min(start + _LONGEST_FILLER, line_end)):
        return NamedOption()
    listed = mentions(line, text.lower[start:line_end], text.options, grammar)
    if listed and (length := _plainly_lettered(line, listed)):
        return NamedOption(listed[0].option, 0.95, start + length)
    if not listed and _NONE_OF_THEM.match(line):
        return NamedOption(torn=True)
    at_letter = _letter_at(line, text.options)
    if at_letter is not None and not any(m.start <= at_letter.start < m.end for m in listed):
        listed = sorted([*listed, at_letter], key=lambda each: each.start)
    head = next((each for each in listed if _leads_to(line, each, at_letter, grammar)), None)
    if head is None and weak:
        return NamedOption()
    end = _sentence_end(line, listed, grammar)
    listed = [each for each in listed if each.start < end]
    if head is None or head.denied or head.start >= end:
        options = asserted(listed)
        if len(options) == 1 and not weak:
            return NamedOption(options.pop(), 0.7, start + end)
        return NamedOption(torn=len(options) > 1 and not weak)
    last, torn = _rivals(line, listed, head, text)
    lettered = last is head and head.by != "text"
    if lettered and _starts_list(head, plain[start : start + LONGEST_LINE]):
        return NamedOption()
    misnamed = (
        lettered
        and _other_words(line[head.end : end], text.options.choices[head.option])
        and not grammar.speaks_of(line[head.end :])
    )
    if torn or misnamed:
        return NamedOption(torn=True)
    return NamedOption(head.option, 0.95, start + last.end)


def _plainly_lettered(line: str, listed: Sequence[Mention]) -> int:
    """Return where "(b)" or "(b) river bank" ends that begins a line and ends it; 0 for others.

    Most answers of models that were given examples look so, and need no closer look.
    """
    first, last = listed[0], listed[-1]
    if first.by != "letter" or first.start or len(listed) > 2 or first.denied or last.denied:
        return 0
    if last is not first and (last.by != "text" or last.option != first.option):
        return 0
    if last is not first and line[first.end : last.start].strip(" :-"):
        return 0
    return 0 if line[last.end :].strip(" .*_") else last.end


def _may_lead(text: AnswerText, start: int, end: int) -> bool:
    """Tell whether any option is named so near that a weak announcement may be of it."""
    if at_head(text.plain[start:end], len(text.options.choices)) is not None:
        return True
    run = text.grammar.fillers.match(text.plain, start, end)
    behind = run.end() if run else start
    if (
        text.plain[behind : behind + 1] in (")", "]")
        or not text.plain[behind + 1 : behind + 2].isalpha()
    ):
        return True
    return any(
        text.lower.find(form.text, start, behind + len(form.text)) >= 0
        for form in text.options.forms
    )


def _leads_to(line: str, mention: Mention, at_letter: Mention | None, grammar: Grammar) -> bool:
    if at_letter is not None and mention.start <= at_letter.start < mention.end:
        return True
    return grammar.filler.match(line, 0, mention.start) is not None


def _rivals(
    line: str, listed: Sequence[Mention], head: Mention, text: AnswerText
) -> tuple[Mention, bool]:
    """Return the last mention that belongs to the answer, and whether others stand beside it."""
    last, rivals = head, {head.option}
    for each in listed[listed.index(head) + 1 :]:
        if each.denied:
            continue
        same = each.option in text.options.same_worded(head.option)
        between = line[last.end : each.start]
        if text.grammar.coordinated.match(between) or not re.search(r"\w", between):
            last = each
            rivals |= set() if same else {each.option}
        elif not same and (each.by == "letter" or (each.by == "bare" and names_question(between))):
            rivals.add(each.option)
    return last, len(rivals) > 1


def _starts_list(head: Mention, tail: str) -> bool:
    """Tell whether the letter opens a list of the options, as in "each choice: A: ... B: ..."."""
    mark = tail[head.end : head.end + 1]
    following = ascii_uppercase[head.option + 1 : head.option + 2]
    if not following or mark not in (":", ".", ")", "-") or head.option:
        return False
    return re.search(rf"(?<!\w){following}{re.escape(mark)}\s", tail[head.end :]) is not None


def _other_words(after: str, option: str) -> bool:
    """Tell whether a letter is followed by a name that shares no word with the option."""
    name = _NAME.match(after)
    if name is None or len(after.split()) > _LONGEST_NAME or _FUNCTION_WORD.fullmatch(name[1]):
        return False
    following, meant = after.casefold().strip(" .\"'*_"), fold(option).casefold()
    stems = {word[:_STEM] for word in re.findall(r"\w+", following)}
    return not (
        stems & {word[:_STEM] for word in re.findall(r"\w+", meant)}
        or SequenceMatcher(None, following, meant).ratio() >= _ALIKE
    )


def _letter_at(line: str, options: Options) -> Mention | None:
    """Read a letter at the head of the line, unless it begins a word ("e-paper")."""
    mention = at_head(line, len(options.choices))
    if mention is None:
        return None
    after = line[mention.end :]
    goes_on = _WORD_GOES_ON.match(after)
    if goes_on and not after[1:].lower().startswith(options.words[mention.option]):
        return None
    return mention


def _sentence_end(line: str, listed: Sequence[Mention], grammar: Grammar) -> int:
    """Find where the answer's own clause ends, skipping ends inside a mention."""
    end = len(line)
    for pattern in (grammar.explains, SENTENCE_END):
        for match in pattern.finditer(line, 0, end):
            inside = any(each.start <= match.start() < each.end for each in listed)
            named = any(each.end <= match.start() for each in listed)
            if not inside and (named or pattern is SENTENCE_END):
                end = match.start()
                break
    return end


def tidy(rationale: str) -> str:
    """Strip the signs that led to an answer, and a heading that says no more than "Answer"."""
    text = _ANSWER_HEADING.sub("", rationale.rstrip()).rstrip().rstrip(",;:-*_`$→<#").rstrip()
    return text if re.search(r"\w", text) else ""
