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

from raygen.core.answers.announced import Announcement, announcements, readable, repeats
from raygen.core.answers.characters import fold
from raygen.core.answers.continuation import new_questions
from raygen.core.answers.following import (
    LONGEST_LINE,
    SENTENCE_END,
    AnswerText,
    NamedOption,
    read_option_at,
    tidy,
)
from raygen.core.answers.grammar import grammar_of
from raygen.core.answers.mentions import Mention, asserted, mentions
from raygen.core.answers.options import options_of

_HEADING = re.compile(
    r"\A[\s*_]*(?:rationale|explanation|reason|reasoning)[\s*_]*:[\s*_]*", re.IGNORECASE
)
_WITHDRAWN = re.compile(
    r"[^\n]{0,80}?(?:\A|[.!?,;*\n]\s|\s[-–—]\s)[\s*]*(?:(?:no|oh|hmm+|hold\s+on|but|wait|actually|sorry)[,.!]*\s+)*"
    r"(?:(?:that|this|it|which)\s*(?:'s|\sis|\swas)\s+(?:wrong|incorrect|a\s+mistake"
    r"|not\s+(?:right|correct))(?!\s+to\b)|(?:that|this|it)\s+(?:isn't|wasn't)\s+(?:right|correct)"
    r"|scratch\s+that|I\s+(?:made\s+a\s+mistake|was\s+wrong|misread))",
    re.IGNORECASE,
)
_DASH = re.compile(r"[)\]}*_.\"'$]*(?:\s+[-–—]+\s+|\s*—\s*)")
_CONTRADICTED = 0.7
_LATEX_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit|mbox)\s*\{([^{}]*)\}")
_FORMULA = re.compile(r"[\\^<>=+]|\d")
_MOST_PHRASES = 100
_ANNOUNCED = 0.7
"""From this confidence on a text announces its answer; less counts in no long or cut text."""
_MERELY_NAMED = 0.5
"""Up to this confidence a text announces nothing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The option that a text settles on (None for none), and the text without its announcement.

    `confidence` follows the scale above; it is 0 if nothing was read. `answer_first` says that the
    answer stands before its reasoning.
    """

    option: int | None
    rationale: str
    confidence: float = 0.0
    answer_first: bool = False


def read_answer(text: str, choices: Sequence[str], *, cut_off: bool = False) -> Answer:
    """Read the option that `text` settles on, and strip the phrase that announces it.

    The last announcement counts; one that names no option or several is no answer. An option that
    is denied ("not (b)") is not named, and neither is one whose letter stands before words of
    another name ("(b) driving"). What follows a line that begins a new question is no part of the
    answer. Of a very long text only announcements near the end are read, and of one that is
    `cut_off` only those that ended before the cut.
    """
    head, tail = readable(text)
    plain = fold(tail)
    lower = plain.lower()
    prepared = AnswerText(tail, plain, lower, options_of(tuple(choices)), grammar_of(lower))
    answer = _read_cut_off(prepared) if cut_off else _read_first_question(prepared)
    if not head:
        return answer
    if answer.confidence < _ANNOUNCED:
        return Answer(None, head + tail)
    before = tail.startswith(answer.rationale)
    return replace(answer, rationale=tidy(head + answer.rationale) if before else answer.rationale)


def _read_cut_off(text: AnswerText) -> Answer:
    """Read what is announced before the last word, which may be a part of one."""
    whole = len(
        text.plain.rstrip("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-'")
    )
    answer = _read_first_question(text.up_to(whole))
    if answer.confidence < _ANNOUNCED:
        alone = read_option_at(text, 0, len(text.plain), weak=True)
        if alone.option is not None and alone.end >= len(text.plain.rstrip()):
            return Answer(alone.option, "", 0.9)
        return Answer(None, text.written)
    return answer


def _read_first_question(text: AnswerText) -> Answer:
    """Read the answer to the question itself, not to those that a model goes on with."""
    for position in new_questions(text.plain):
        answer = _read(text.up_to(position))
        if answer.confidence > _MERELY_NAMED:
            return answer
    return _read(text)


def _read(text: AnswerText) -> Answer:
    phrases = announcements(text.plain, text.lower, text.grammar)[-_MOST_PHRASES:]
    announced = _announced(text, phrases) if phrases else None
    if announced is not None:
        return announced
    alone = _alone(text)
    if alone is not None:
        return alone
    named = mentions(text.plain, text.lower, text.options, text.grammar)
    return _afterwards(text, named) or _first_line(text, named) or _only_named(text, named)


def _announced(text: AnswerText, phrases: Sequence[Announcement]) -> Answer | None:
    """Read the last announcement; None if there is none, or nothing follows it."""
    chosen: Answer | None = None
    last = phrases[-1]
    for index in reversed(range(len(phrases))):
        phrase = phrases[index]
        reading = _reading_of(text, phrase)
        if reading.option is None and not reading.torn:
            if chosen is None and _says_nothing(text, phrase):
                return Answer(None, text.before(phrase.start(text.plain)))
            continue
        if chosen is None:
            start = phrase.start(text.plain)
            if reading.torn or _WITHDRAWN.match(text.plain[reading.end : reading.end + 200]):
                return Answer(None, text.before(start))
            start = _first_start(text, phrases[:index], reading, start)
            chosen = _settled(text, phrase, reading, start)
            last = phrase
        elif reading.option not in (None, chosen.option):
            subjects = (last.subject(text.plain), phrase.subject(text.plain))
            if None not in subjects and subjects[0] != subjects[1]:
                return Answer(None, text.before(phrase.start(text.plain)))
            return replace(chosen, confidence=round(chosen.confidence * _CONTRADICTED, 3))
    return chosen


def _first_start(
    text: AnswerText, earlier: Sequence[Announcement], chosen: NamedOption, start: int
) -> int:
    """Find where announcements of one option begin that follow each other right up to `start`."""
    for phrase in reversed(earlier):
        if start - phrase.end > LONGEST_LINE:
            break
        reading = _reading_of(text, phrase)
        if reading.option != chosen.option or not repeats(text.plain, reading.end, start):
            break
        start = phrase.start(text.plain)
    return start


def _reading_of(text: AnswerText, phrase: Announcement) -> NamedOption:
    if phrase.value is None:
        return read_option_at(text, phrase.end, len(text.plain), phrase.weak)
    value = _LATEX_WRAPPER.sub(r"\1", phrase.value).strip().strip("$").strip()
    part = replace(text, written=value, plain=value, lower=value.lower())
    reading = read_option_at(part, 0, len(value), weak=False)
    if reading.option is None and not reading.torn and value != phrase.value:
        part = replace(text, written=phrase.value, plain=phrase.value, lower=phrase.value.lower())
        reading = read_option_at(part, 0, len(phrase.value), weak=False)
    sure = 0.0 if reading.option is None else 1.0
    return reading._replace(confidence=sure, end=phrase.stop)


def _says_nothing(text: AnswerText, phrase: Announcement) -> bool:
    """Tell whether an announcement that names no option leaves the text without an answer."""
    if phrase.value is not None:
        return _FORMULA.search(phrase.value) is None or phrase.reason is not None
    if phrase.weak or phrase.cue is None or phrase.cue.required:
        return False
    said = text.lower[phrase.word : phrase.end]
    is_answer = not text.grammar.only_english or "answer" in said
    if not is_answer:
        is_answer = "answer" in text.lower[phrase.start(text.plain) : phrase.end]
    return is_answer and re.search(r"\w", text.plain[phrase.end :]) is not None


def _settled(text: AnswerText, phrase: Announcement, reading: NamedOption, start: int) -> Answer:
    """Put the answer that an announcement names together with its reasoning."""
    if phrase.reason is not None:
        first = phrase.reason_later
        return Answer(reading.option, tidy(phrase.reason), reading.confidence, first)
    rationale = text.before(start)
    if rationale:
        return Answer(reading.option, rationale, reading.confidence)
    rationale = _reason_after(text, reading.end)
    return Answer(reading.option, rationale, reading.confidence, bool(rationale))


def _reason_after(text: AnswerText, end: int) -> str:
    """Return the reasoning of a text that answers first.

    That is what follows "because" or a dash, or what follows the answer's sentence.
    """
    tail = text.plain[end:]
    if reason := _reason_in_sentence(text, end):
        return reason
    stop = SENTENCE_END.search(tail)
    reason = _HEADING.sub("", text.written[end + stop.end() :]).strip() if stop else ""
    return reason if re.search(r"\w", reason) else ""


def _afterwards(text: AnswerText, listed: Sequence[Mention]) -> Answer | None:
    """Read the last announcement after the fact: "(b) is the right answer"."""
    for index in reversed(range(len(listed))):
        each = listed[index]
        after = text.plain[each.end : each.end + 120]
        if each.denied or text.grammar.afterwards.match(after) is None:
            continue
        if (
            index
            and text.grammar.coordinated.match(text.plain[listed[index - 1].end : each.start])
            and listed[index - 1].option not in text.options.same_worded(each.option)
        ):
            return Answer(None, text.written)
        starts = [
            match.end() for match in SENTENCE_END.finditer(text.plain) if match.end() <= each.start
        ]
        before = text.before(starts[-1]) if starts else ""
        if before:
            return Answer(each.option, before, 0.85)
        return Answer(each.option, text.written, 0.85, SENTENCE_END.search(after) is not None)
    return None


def _alone(text: AnswerText) -> Answer | None:
    """Read a text that is nothing but an option, or whose last line is."""
    line = text.plain.rfind("\n") + 1
    if len(text.plain) - line > LONGEST_LINE:
        return None
    reading = read_option_at(text, line, len(text.plain), weak=True)
    if reading.option is None:
        return None
    rest = text.plain[reading.end :]
    if reason := _reason_in_sentence(text, reading.end):
        before = text.before(line) if line else ""
        return Answer(reading.option, before or reason, 0.9, answer_first=not before)
    if re.search(r"\w", rest) or (line and _ends_list(text, line, reading.option)):
        return None
    return Answer(reading.option, text.before(line), 0.9)


def _ends_list(text: AnswerText, line: int, option: int) -> bool:
    """Tell whether the line before an option's is another option's, as in a list of them."""
    end = len(text.plain[:line].rstrip())
    start = text.plain.rfind("\n", 0, end) + 1
    if not 0 < end - start <= LONGEST_LINE:
        return False
    before = read_option_at(text, start, end, weak=True)
    alone = re.search(r"\w", text.plain[before.end : end]) is None
    return before.option not in (None, option) and alone


def _reason_in_sentence(text: AnswerText, end: int) -> str:
    """Return the reasoning that the answer's own sentence goes on with: "B because ..."."""
    dash = _DASH.match(text.plain, end)
    start = dash.end() if dash else end
    because = text.grammar.because.match(text.plain[start:])
    if because is None and dash is None:
        return ""
    return text.written[start + (because.end() if because else 0) :].strip()


def _first_line(text: AnswerText, listed: Sequence[Mention]) -> Answer | None:
    """Read a text that begins with a line that is an option, and goes on about no other letter."""
    end = text.plain.find("\n\n")
    if not 0 < end <= LONGEST_LINE:
        return None
    reading = read_option_at(text, 0, end, weak=True)
    if reading.option is None or re.search(r"\w", text.plain[reading.end : end]):
        return None
    if asserted([each for each in listed if each.by != "text"]) - {reading.option}:
        return None
    reason = _HEADING.sub("", text.written[end:].strip())
    return Answer(reading.option, reason, 0.9, answer_first=True)


def _only_named(text: AnswerText, listed: Sequence[Mention]) -> Answer:
    letters = asserted([each for each in listed if each.by == "letter"])
    if letters:
        one = len(letters) == 1
        return Answer(letters.pop(), text.written, 0.5) if one else Answer(None, text.written)
    named = asserted([each for each in listed if each.by == "text"])
    return Answer(named.pop(), text.written, 0.3) if len(named) == 1 else Answer(None, text.written)
