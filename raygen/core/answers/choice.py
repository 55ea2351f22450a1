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
from typing import NamedTuple

from raygen.core.answers.announced import Announcement, announcements, readable
from raygen.core.answers.characters import fold
from raygen.core.answers.continuation import new_questions
from raygen.core.answers.grammar import Grammar, grammar_of
from raygen.core.answers.mentions import Mention, asserted, at_head, mentions
from raygen.core.answers.options import Options, options_of

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"'*_)]*\s+(?=[\"'*_(]*[A-ZÀ-ÞА-Я(])|\n|。")
_NONE_OF_THEM = re.compile(
    r"\A\W*(?:none\s+of|not\s+(?:among|in|listed|given)\b|neither\b)", re.IGNORECASE
)
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
_ANSWER_HEADING = re.compile(
    r"(?:\A|\n)[^\S\n]*[#*_]*[^\S\n]*(?:the\s+)?(?:(?:final|correct)\s+)?answer[\s*_:]*\Z",
    re.IGNORECASE,
)
_CONTRADICTED = 0.7
_NAME = re.compile(r"\A[)\].:]?[\s*_]+[\"']?([^\W_]\w*)")
_WORD_GOES_ON = re.compile(r"\A[-‑–/.]\w")
"""What makes a letter the beginning of something else: e-paper, A-frame, e.g., B/C."""
_FUNCTION_WORD = re.compile(
    r"and|or|but|so|not|is|are|was|in|on|at|by|with|from|to|the|this|that|these|because|since|as|if"
    r"|when|it|they|he|she|we|i|you|which|who|than|then",
    re.IGNORECASE,
)
_LATEX_WRAPPER = re.compile(r"\\(?:text|textbf|mathrm|mathbf|textit|mbox)\s*\{([^{}]*)\}")
_FORMULA = re.compile(r"[\\^<>=+]|\d")
_LONGEST_NAME = 6
_LONGEST_FILLER = 60
_LONGEST_LINE = 1000
_MOST_PHRASES = 100
_ANNOUNCED = 0.7
"""From this confidence on a text announces its answer; less counts in no long or cut text."""
_MERELY_NAMED = 0.5
"""Up to this confidence a text announces nothing."""
_STEM = 4
_ALIKE = 0.6


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


class _AnnouncedOption(NamedTuple):
    """What an announcement names: one option, none, or several (`torn`)."""

    option: int | None = None
    confidence: float = 0.0
    end: int = 0
    torn: bool = False


@dataclass(frozen=True, slots=True)
class _Text:
    """A text with what reading it takes; `plain` is its folded form, as long as itself."""

    written: str
    plain: str
    lower: str
    options: Options
    grammar: Grammar

    def before(self, end: int) -> str:
        """Return what is written up to a position, without the signs that led to an answer."""
        return _tidy(self.written[:end])

    def up_to(self, end: int) -> _Text:
        """Return the beginning of the text."""
        return replace(
            self, written=self.written[:end], plain=self.plain[:end], lower=self.lower[:end]
        )


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
    prepared = _Text(tail, plain, lower, options_of(tuple(choices)), grammar_of(lower))
    answer = _read_cut_off(prepared) if cut_off else _read_first_question(prepared)
    if not head:
        return answer
    if answer.confidence < _ANNOUNCED:
        return Answer(None, head + tail)
    before = tail.startswith(answer.rationale)
    return replace(answer, rationale=_tidy(head + answer.rationale) if before else answer.rationale)


def _read_cut_off(text: _Text) -> Answer:
    """Read what is announced before the last word, which may be a part of one."""
    whole = len(
        text.plain.rstrip("0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ-'")
    )
    answer = _read_first_question(text.up_to(whole))
    if answer.confidence < _ANNOUNCED:
        alone = _read_head(text, 0, len(text.plain), weak=True)
        if alone.option is not None and alone.end >= len(text.plain.rstrip()):
            return Answer(alone.option, "", 0.9)
        return Answer(None, text.written)
    return answer


def _read_first_question(text: _Text) -> Answer:
    """Read the answer to the question itself, not to those that a model goes on with."""
    for position in new_questions(text.plain):
        answer = _read(text.up_to(position))
        if answer.confidence > _MERELY_NAMED:
            return answer
    return _read(text)


def _read(text: _Text) -> Answer:
    phrases = announcements(text.plain, text.lower, text.grammar)[-_MOST_PHRASES:]
    announced = _announced(text, phrases) if phrases else None
    if announced is not None:
        return announced
    alone = _alone(text)
    if alone is not None:
        return alone
    named = mentions(text.plain, text.lower, text.options, text.grammar)
    return _afterwards(text, named) or _first_line(text, named) or _only_named(text, named)


def _announced(text: _Text, phrases: Sequence[Announcement]) -> Answer | None:
    """Read the last announcement; None if there is none, or nothing follows it."""
    chosen: Answer | None = None
    last = phrases[-1]
    for phrase in reversed(phrases):
        reading = _reading_of(text, phrase)
        if reading.option is None and not reading.torn:
            if chosen is None and _says_nothing(text, phrase):
                return Answer(None, text.before(phrase.start(text.plain)))
            continue
        if chosen is None:
            start = phrase.start(text.plain)
            if reading.torn or _WITHDRAWN.match(text.plain[reading.end : reading.end + 200]):
                return Answer(None, text.before(start))
            chosen = _settled(text, phrase, reading, start)
            last = phrase
        elif reading.option not in (None, chosen.option):
            subjects = (last.subject(text.plain), phrase.subject(text.plain))
            if None not in subjects and subjects[0] != subjects[1]:
                return Answer(None, text.before(phrase.start(text.plain)))
            return replace(chosen, confidence=round(chosen.confidence * _CONTRADICTED, 3))
    return chosen


def _reading_of(text: _Text, phrase: Announcement) -> _AnnouncedOption:
    if phrase.value is None:
        return _read_head(text, phrase.end, len(text.plain), phrase.weak)
    value = _LATEX_WRAPPER.sub(r"\1", phrase.value).strip().strip("$").strip()
    part = replace(text, written=value, plain=value, lower=value.lower())
    reading = _read_head(part, 0, len(value), weak=False)
    if reading.option is None and not reading.torn and value != phrase.value:
        part = replace(text, written=phrase.value, plain=phrase.value, lower=phrase.value.lower())
        reading = _read_head(part, 0, len(phrase.value), weak=False)
    sure = 0.0 if reading.option is None else 1.0
    return reading._replace(confidence=sure, end=phrase.stop)


def _says_nothing(text: _Text, phrase: Announcement) -> bool:
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


def _settled(text: _Text, phrase: Announcement, reading: _AnnouncedOption, start: int) -> Answer:
    """Put the answer that an announcement names together with its reasoning."""
    if phrase.reason is not None:
        first = phrase.reason_later
        return Answer(reading.option, _tidy(phrase.reason), reading.confidence, first)
    rationale = text.before(start)
    if rationale:
        return Answer(reading.option, rationale, reading.confidence)
    rationale = _reason_after(text, reading.end)
    return Answer(reading.option, rationale, reading.confidence, bool(rationale))


def _read_head(text: _Text, start: int, stop: int, weak: bool) -> _AnnouncedOption:
    """Read the option right after an announcement, or else the only one named there."""
    plain, grammar = text.plain, text.grammar
    while start < stop and plain[start].isspace():
        start += 1
    line_end = plain.find("\n", start, min(stop, start + _LONGEST_LINE))
    line_end = line_end if line_end >= 0 else min(stop, start + _LONGEST_LINE)
    line = plain[start:line_end]
    if weak and not _may_lead(text, start, min(start + _LONGEST_FILLER, line_end)):
        return _AnnouncedOption()
    listed = mentions(line, text.lower[start:line_end], text.options, grammar)
    if listed and (length := _plainly_lettered(line, listed)):
        return _AnnouncedOption(listed[0].option, 0.95, start + length)
    if not listed and _NONE_OF_THEM.match(line):
        return _AnnouncedOption(torn=True)
    at_letter = _letter_at(line, text.options)
    if at_letter is not None and not any(m.start <= at_letter.start < m.end for m in listed):
        listed = sorted([*listed, at_letter], key=lambda each: each.start)
    head = next((each for each in listed if _leads_to(line, each, at_letter, grammar)), None)
    if head is None and weak:
        return _AnnouncedOption()
    end = _sentence_end(line, listed, grammar)
    listed = [each for each in listed if each.start < end]
    if head is None or head.denied or head.start >= end:
        options = asserted(listed)
        if len(options) == 1 and not weak:
            return _AnnouncedOption(options.pop(), 0.7, start + end)
        return _AnnouncedOption(torn=len(options) > 1 and not weak)
    last, torn = _rivals(line, listed, head, text)
    lettered = last is head and head.by != "text"
    if lettered and _starts_list(head, plain[start : start + _LONGEST_LINE]):
        return _AnnouncedOption()
    misnamed = (
        lettered
        and _other_words(line[head.end : end], text.options.choices[head.option])
        and not grammar.speaks_of(line[head.end :])
    )
    if torn or misnamed:
        return _AnnouncedOption(torn=True)
    return _AnnouncedOption(head.option, 0.95, start + last.end)


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


def _may_lead(text: _Text, start: int, end: int) -> bool:
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
    line: str, listed: Sequence[Mention], head: Mention, text: _Text
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
        elif each.by == "letter" and not same:
            rivals.add(each.option)
    return last, len(rivals) > 1


def _reason_after(text: _Text, end: int) -> str:
    """Return the reasoning of a text that answers first.

    That is what follows "because" or a dash, or what follows the answer's sentence.
    """
    tail = text.plain[end:]
    if reason := _reason_in_sentence(text, end):
        return reason
    stop = _SENTENCE_END.search(tail)
    reason = _HEADING.sub("", text.written[end + stop.end() :]).strip() if stop else ""
    return reason if re.search(r"\w", reason) else ""


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
    for pattern in (grammar.explains, _SENTENCE_END):
        for match in pattern.finditer(line, 0, end):
            inside = any(each.start <= match.start() < each.end for each in listed)
            named = any(each.end <= match.start() for each in listed)
            if not inside and (named or pattern is _SENTENCE_END):
                end = match.start()
                break
    return end


def _afterwards(text: _Text, listed: Sequence[Mention]) -> Answer | None:
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
            match.end() for match in _SENTENCE_END.finditer(text.plain) if match.end() <= each.start
        ]
        before = text.before(starts[-1]) if starts else ""
        if before:
            return Answer(each.option, before, 0.85)
        return Answer(each.option, text.written, 0.85, _SENTENCE_END.search(after) is not None)
    return None


def _alone(text: _Text) -> Answer | None:
    """Read a text that is nothing but an option, or whose last line is."""
    line = text.plain.rfind("\n") + 1
    if len(text.plain) - line > _LONGEST_LINE:
        return None
    reading = _read_head(text, line, len(text.plain), weak=True)
    if reading.option is None:
        return None
    rest = text.plain[reading.end :]
    if reason := _reason_in_sentence(text, reading.end):
        before = text.before(line) if line else ""
        return Answer(reading.option, before or reason, 0.9, answer_first=not before)
    if re.search(r"\w", rest) or (line and _ends_list(text, line, reading.option)):
        return None
    return Answer(reading.option, text.before(line), 0.9)


def _ends_list(text: _Text, line: int, option: int) -> bool:
    """Tell whether the line before an option's is another option's, as in a list of them."""
    end = len(text.plain[:line].rstrip())
    start = text.plain.rfind("\n", 0, end) + 1
    if not 0 < end - start <= _LONGEST_LINE:
        return False
    before = _read_head(text, start, end, weak=True)
    alone = re.search(r"\w", text.plain[before.end : end]) is None
    return before.option not in (None, option) and alone


def _reason_in_sentence(text: _Text, end: int) -> str:
    """Return the reasoning that the answer's own sentence goes on with: "B because ..."."""
    dash = _DASH.match(text.plain, end)
    start = dash.end() if dash else end
    because = text.grammar.because.match(text.plain[start:])
    if because is None and dash is None:
        return ""
    return text.written[start + (because.end() if because else 0) :].strip()


def _first_line(text: _Text, listed: Sequence[Mention]) -> Answer | None:
    """Read a text that begins with a line that is an option, and goes on about no other letter."""
    end = text.plain.find("\n\n")
    if not 0 < end <= _LONGEST_LINE:
        return None
    reading = _read_head(text, 0, end, weak=True)
    if reading.option is None or re.search(r"\w", text.plain[reading.end : end]):
        return None
    if asserted([each for each in listed if each.by != "text"]) - {reading.option}:
        return None
    reason = _HEADING.sub("", text.written[end:].strip())
    return Answer(reading.option, reason, 0.9, answer_first=True)


def _only_named(text: _Text, listed: Sequence[Mention]) -> Answer:
    letters = asserted([each for each in listed if each.by == "letter"])
    if letters:
        one = len(letters) == 1
        return Answer(letters.pop(), text.written, 0.5) if one else Answer(None, text.written)
    named = asserted([each for each in listed if each.by == "text"])
    return Answer(named.pop(), text.written, 0.3) if len(named) == 1 else Answer(None, text.written)


def _tidy(rationale: str) -> str:
    """Strip the signs that led to an answer, and a heading that says no more than "Answer"."""
    text = _ANSWER_HEADING.sub("", rationale.rstrip()).rstrip().rstrip(",;:-*_`$→<#").rstrip()
    return text if re.search(r"\w", text) else ""
