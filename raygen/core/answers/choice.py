"""Which option a text settles on, and the reasoning that led there.

Knows nothing of engines or ops. What can't be read as exactly one option is None, never a guess: it
counts in a vote's denominator and as wrong in an evaluation.

How sure a reading is, by how the option was found:

| confidence | the text |
|---|---|
| 1.0  | gives it in a JSON object or in a box |
| 0.95 | announces it: "the answer is (b)", "Answer: river bank", "I choose option B" |
| 0.9  | is nothing but the option, or ends in a line that is |
| 0.85 | announces it after the fact: "(b) is the right answer" |
| 0.7  | announces it within a sentence: "the answer is most likely to be found at the bank" |
| 0.5  | announces nothing, and names one letter only |
| 0.3  | announces nothing, and names one option only, by its words |

The last announcement counts, and is 0.7 times as sure where an earlier one names another option.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from difflib import SequenceMatcher
from string import ascii_uppercase

from raygen.core.answers.announced import (
    Announcement,
    Stated,
    announcements,
    boxed_answer,
    json_answer,
    readable,
)
from raygen.core.answers.mentions import (
    FILLER,
    Mention,
    asserted,
    bare_option,
    coordinated,
    mentions,
    same_worded_options,
)

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'”’*_)]*\s+(?=[\"'“*_(]*[A-Z(])|\n")
_EXPLAINS = re.compile(
    r"[\s,;]\s*(?:because|since|as|which|where|while|whereas|for|given|due\s+to|so\s+that)\b"
    r"|\s[-–—]\s|;|:",
    re.IGNORECASE,
)
_AFTERWARDS = re.compile(
    r"\A[\s*_\"'”’)]*(?:is|are|was|would\s+be|must\s+be|seems?(?:\s+to\s+be)?|appears\s+to\s+be)\s+"
    r"(?:therefore\s+|thus\s+|clearly\s+)?(?:the\s+)?"
    r"(?:(?:(?:only|single|one|most\s+\w+|\w+est|best|correct|right|likely|logical)\s+){1,3}"
    r"(?:answer|choice|option|one)\b(?!\s+\(?[A-Z]\b)"
    r"|(?:answer|correct\s+one)\b|(?:correct|right)(?=[*_\"'”’)]*(?:[.,;:!\n]|\Z)))",
    re.IGNORECASE,
)
_NONE_OF_THEM = re.compile(
    r"\A\W*(?:none\s+of|not\s+(?:among|in|listed|given)\b|neither\b)", re.IGNORECASE
)
_BECAUSE = re.compile(r"\A[\s,;:*_`)\"'”’-]*(?:because|since|as)\b\s*", re.IGNORECASE)
_HEADING = re.compile(
    r"\A[\s*_]*(?:rationale|explanation|reason|reasoning)[\s*_]*:[\s*_]*", re.IGNORECASE
)
_CONTRADICTED = 0.7
_NAME = re.compile(r"\A[)\].:]?[\s*_]+[\"'“]?(\w+)")
_WORD_GOES_ON = re.compile(r"\A[-‑–/.]\w")
"""What makes a letter the beginning of something else: e-paper, A-frame, e.g., B/C."""
_FUNCTION_WORD = re.compile(
    r"and|or|but|so|not|is|are|was|in|on|at|by|with|from|to|the|this|that|these|because|since|as|if"
    r"|when|it|they|he|she|we|i|you|which|who|than|then",
    re.IGNORECASE,
)
_LONGEST_NAME = 6
_LONGEST_LINE = 1000
_MOST_PHRASES = 100
_SURE_OF_LONG = 0.7
"""What only happens to be named counts in a text that is read whole."""
_STEM = 4
_ALIKE = 0.6


@dataclass(frozen=True, slots=True)
class Answer:
    """The option that a text settles on (None for none), and the text without its announcement.

    `confidence` follows the scale above; it is 0 if nothing was read.
    """

    option: int | None
    rationale: str
    confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class _AnnouncedOption:
    """What an announcement names: one option, none, or several (`torn`)."""

    option: int | None = None
    confidence: float = 0.0
    end: int = 0
    torn: bool = False


def read_answer(text: str, choices: Sequence[str]) -> Answer:
    """Read the option that `text` settles on, and strip the phrase that announces it.

    The last announcement counts; one that names no option or several is no answer. An option that
    is denied ("not (b)") is not named, and neither is one whose letter stands before words of
    another name ("(b) driving"). Of a very long text only announcements near the end are read.
    """
    head, tail = readable(text)
    answer = _read(tail, choices)
    if not head:
        return answer
    if answer.confidence < _SURE_OF_LONG:
        return Answer(None, head + tail)
    before = tail.startswith(answer.rationale)
    return replace(answer, rationale=_tidy(head + answer.rationale) if before else answer.rationale)


def names_option(text: str, option: str) -> bool:
    """Tell whether the text has the option as whole words, ignoring case and a leading article."""
    words = re.escape(bare_option(option))
    return re.search(rf"(?<!\w){words}(?!\w)", text, re.IGNORECASE) is not None


def _read(text: str, choices: Sequence[str]) -> Answer:
    stated = json_answer(text) or boxed_answer(text)
    if stated is not None:
        return _structured(stated, choices)
    phrases = announcements(text)[-_MOST_PHRASES:]
    announced = _announced(text, phrases, choices) or _afterwards(text, choices)
    if announced is not None:
        return announced
    alone = _alone(text, choices)
    if alone is not None:
        return alone
    return _only_named(text, choices)


def _structured(stated: Stated, choices: Sequence[str]) -> Answer:
    reading = _read_head(stated.value, choices, weak=False)
    option = reading.option
    return Answer(option, _tidy(stated.rationale), 0.0 if option is None else 1.0)


def _announced(text: str, phrases: Sequence[Announcement], choices: Sequence[str]) -> Answer | None:
    """Read the last announcement; None if there is none, or nothing follows it."""
    chosen: Answer | None = None
    for phrase in reversed(phrases):
        reading = _read_head(text[phrase.end :], choices, phrase.weak)
        if reading.option is None and not reading.torn:
            says = "answer" in text[phrase.start : phrase.end].casefold() and not phrase.weak
            if chosen is None and says and re.search(r"\w", text[phrase.end :]):
                return Answer(None, _tidy(text[: phrase.start]))
            continue
        if chosen is None:
            rationale = _tidy(text[: phrase.start])
            if not rationale and reading.option is not None:
                rationale = _reason_after(text[phrase.end + reading.end :])
            if reading.torn:
                return Answer(None, rationale)
            chosen = Answer(reading.option, rationale, reading.confidence)
        elif reading.option not in (None, chosen.option):
            return replace(chosen, confidence=round(chosen.confidence * _CONTRADICTED, 3))
    return chosen


def _read_head(tail: str, choices: Sequence[str], weak: bool) -> _AnnouncedOption:
    """Read the option right after an announcement, or else the only one named there."""
    skipped = len(tail) - len(tail.lstrip())
    tail = tail[skipped:]
    line = tail.split("\n", 1)[0][:_LONGEST_LINE]
    listed = mentions(line, choices)
    if not listed and _NONE_OF_THEM.match(line):
        return _AnnouncedOption(torn=True)
    at_letter = _letter_at(line, choices)
    if at_letter is not None and not any(m.start <= at_letter.start < m.end for m in listed):
        listed = sorted([*listed, at_letter], key=lambda each: each.start)
    end = _sentence_end(line, listed)
    listed = [each for each in listed if each.start < end]
    head = next((each for each in listed if FILLER.match(line[: each.start])), None)
    if head is None or head.denied:
        options = asserted(listed)
        if len(options) == 1 and not weak:
            return _AnnouncedOption(options.pop(), 0.7, skipped + end)
        return _AnnouncedOption(torn=len(options) > 1 and not weak)
    last, rivals = head, {head.option}
    for each in listed[listed.index(head) + 1 :]:
        same = each.option in same_worded_options(choices, head.option)
        between = line[last.end : each.start]
        if each.denied:
            continue
        if coordinated(between) or not re.search(r"\w", between):
            last = each
            rivals |= set() if same else {each.option}
        elif each.by == "letter" and not same:
            rivals.add(each.option)
    lettered = last is head and head.by != "text"
    if lettered and _starts_list(head, tail):
        return _AnnouncedOption()
    misnamed = lettered and _other_words(line[head.end : end], choices[head.option])
    if len(rivals) > 1 or misnamed:
        return _AnnouncedOption(torn=True)
    return _AnnouncedOption(head.option, 0.95, skipped + last.end)


def _reason_after(tail: str) -> str:
    """Return the reasoning of a text that answers first.

    That is what follows "because", or what follows the answer's sentence.
    """
    because = _BECAUSE.match(tail)
    if because is not None:
        return tail[because.end() :].strip()
    stop = _SENTENCE_END.search(tail)
    return _HEADING.sub("", tail[stop.end() :]).strip() if stop else ""


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
    following, meant = after.casefold().strip(" .\"'”*_"), option.casefold()
    stems = {word[:_STEM] for word in re.findall(r"\w+", following)}
    return not (
        stems & {word[:_STEM] for word in re.findall(r"\w+", meant)}
        or SequenceMatcher(None, following, meant).ratio() >= _ALIKE
    )


def _letter_at(line: str, choices: Sequence[str]) -> Mention | None:
    """Read a bare letter at the head of the line, which would not count in running text."""
    match = re.match(
        r"[\s*_`\"'“(\[]*([A-Za-z])(?=[\s*_`\"'”)\]]*(?:[^\w\s'’]|$)|\s+(?:because|since|as|and|or)\b)",
        line,
    )
    if match is None:
        return None
    option = ascii_uppercase.index(match[1].upper())
    if option >= len(choices):
        return None
    after = line[match.end(1) :]
    option_text = bare_option(choices[option]).casefold()
    if _WORD_GOES_ON.match(after) and not after[1:].casefold().startswith(option_text):
        return None
    return Mention(option, match.start(1), match.end(1), "bare")


def _sentence_end(line: str, listed: Sequence[Mention]) -> int:
    """Find where the answer's own clause ends, skipping ends inside a mention."""
    for pattern in (_EXPLAINS, _SENTENCE_END):
        for match in pattern.finditer(line):
            inside = any(each.start <= match.start() < each.end for each in listed)
            named = any(each.end <= match.start() for each in listed)
            if not inside and (named or pattern is _SENTENCE_END):
                line = line[: match.start()]
                break
    return len(line)


def _afterwards(text: str, choices: Sequence[str]) -> Answer | None:
    """Read the last announcement after the fact: "(b) is the right answer"."""
    listed = mentions(text, choices)
    for index in reversed(range(len(listed))):
        each = listed[index]
        if each.denied or _AFTERWARDS.match(text[each.end :]) is None:
            continue
        if (
            index
            and coordinated(text[listed[index - 1].end : each.start])
            and (listed[index - 1].option not in same_worded_options(choices, each.option))
        ):
            return Answer(None, text)
        starts = [m.end() for m in _SENTENCE_END.finditer(text) if m.end() <= each.start]
        before = _tidy(text[: starts[-1]]) if starts else ""
        return Answer(each.option, before or text, 0.85)
    return None


def _alone(text: str, choices: Sequence[str]) -> Answer | None:
    """Read a text that is nothing but an option, or whose last line is."""
    lines = text.rsplit("\n", 1)
    reading = _read_head(lines[-1], choices, weak=True)
    if reading.option is None or re.search(r"\w", lines[-1][reading.end :]):
        return None
    return Answer(reading.option, _tidy(lines[0]) if len(lines) > 1 else "", 0.9)


def _only_named(text: str, choices: Sequence[str]) -> Answer:
    listed = mentions(text, choices)
    letters = asserted([each for each in listed if each.by == "letter"])
    if letters:
        return Answer(letters.pop(), text, 0.5) if len(letters) == 1 else Answer(None, text)
    named = asserted([each for each in listed if each.by == "text"])
    return Answer(named.pop(), text, 0.3) if len(named) == 1 else Answer(None, text)


def _tidy(rationale: str) -> str:
    return rationale.rstrip().rstrip(",;:-*_`").rstrip()
