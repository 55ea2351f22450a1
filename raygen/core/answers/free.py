"""The answer of a text without options: a number, a name, a phrase.

Knows nothing of engines, of ops, or of which answers are equal.

How sure a reading is: 1.0 from JSON or a box, 0.95 after an announcing phrase, 0.9 where the text
is nothing but a number or a line of up to five words, 0.5 for the last number of a text that
announces nothing.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from raygen.core.answers.announced import Announcement, announcements, readable, repeats
from raygen.core.answers.characters import fold
from raygen.core.answers.continuation import new_questions
from raygen.core.answers.grammar import grammar_of

_NUMBER = re.compile(r"(?<![\w.])[-+]?[$€£]?\s?\d[\d,]*(?:\.\d+)?(?:\s?[/]\s?\d+)?%?(?![\d_])")
_SENTENCE_END = re.compile(
    r"(?<=[^\s.])\.(?=\s|$)|[!?](?=\s|$)|\n|。|</?[a-z]|(?:입니다|です)(?=[.\s。]|$)", re.IGNORECASE
)
_LAST_WORD = re.compile(r"[^\s})\]]*\Z")
_ANNOUNCED = 0.95
_SHORT = 5
_LONGEST_REPEATED = 200


@dataclass(frozen=True, slots=True)
class FreeAnswer:
    """The answer's text or None, the text without it, and how sure the reading is (0 to 1).

    `answer_first` says that the answer stands before its reasoning.
    """

    text: str | None
    rationale: str
    confidence: float = 0.0
    answer_first: bool = False


def read_free_answer(text: str, *, cut_off: bool = False) -> FreeAnswer:
    """Read the last announced answer of a text, and the text before the announcement.

    Without JSON, a box or an announcement, a short text is its own answer, and a longer one's last
    number is. What follows a line that begins a new question is no part of the answer. Of a text
    that is `cut_off`, only what was announced before its last word is read.
    """
    head, tail = readable(text)
    plain = fold(tail)
    if cut_off:
        last_word = _LAST_WORD.search(plain)
        read = _read(tail, plain[: last_word.start()] if last_word else plain)
        read = read if read.confidence >= _ANNOUNCED else FreeAnswer(None, tail)
    else:
        read = _read_first_question(tail, plain)
    if not head:
        return read
    before = tail.startswith(read.rationale)
    return replace(read, rationale=_tidy(head + read.rationale) if before else read.rationale)


def _read_first_question(text: str, plain: str) -> FreeAnswer:
    """Read the answer to the question itself, not to those that a model goes on with."""
    for position in new_questions(plain):
        read = _read(text, plain[:position])
        if read.confidence >= _ANNOUNCED or _is_number_alone(plain[:position]):
            return read
    return _read(text, plain)


def _is_number_alone(plain: str) -> bool:
    return _NUMBER.fullmatch(plain.strip().rstrip(".")) is not None


def _read(written: str, plain: str) -> FreeAnswer:
    lower = plain.lower()
    phrases = announcements(plain, lower, grammar_of(lower))
    for index, phrase in reversed(list(enumerate(phrases))):
        if phrase.weak:
            continue
        if phrase.value is not None:
            reason = phrase.reason or ""
            value = written[phrase.stop - 1 - len(phrase.value) : phrase.stop - 1]
            value = value if fold(value) == phrase.value else phrase.value
            if phrase.reason is None:
                start = _first_start(plain, phrases[:index], fold(value), phrase.word)
                reason = written[:start]
            return FreeAnswer(value, _tidy(reason), 1.0, phrase.reason_later)
        if phrase.cue is None and index < len(phrases) - 1:
            continue
        answer, end = _first_sentence(plain, phrase.end)
        if not answer or _is_heading(phrase, answer, plain[end:]):
            continue
        start = _first_start(plain, phrases[:index], answer, phrase.start(plain))
        rationale = _tidy(written[:start])
        first = not rationale
        rationale = written[end:].strip(" .\n") if first else rationale
        return FreeAnswer(answer, rationale, 0.95, first and bool(rationale))
    text = written[: len(plain)]
    if not plain.strip():
        return FreeAnswer(None, text)
    if "\n" not in plain and len(plain.split()) <= _SHORT:
        return FreeAnswer(_bare(plain), "", 0.9)
    numbers = list(_NUMBER.finditer(plain))
    if numbers:
        return FreeAnswer(numbers[-1].group().strip(), text, 0.5)
    return FreeAnswer(None, text)


def _first_start(plain: str, earlier: Sequence[Announcement], answer: str, start: int) -> int:
    """Find where announcements of one answer begin that follow each other right up to `start`."""
    for phrase in reversed(earlier):
        if phrase.weak or start - phrase.end > _LONGEST_REPEATED:
            break
        if phrase.value is not None:
            same, end, begins = phrase.value, phrase.stop, phrase.word
        else:
            same, end = _first_sentence(plain, phrase.end)
            begins = phrase.start(plain)
        if not _is_same(same, answer) or not repeats(plain, end, start):
            break
        start = begins
    return start


def _is_same(earlier: str, answer: str) -> bool:
    """Tell whether an earlier answer is the same, or has no more than its unit beside it."""
    return earlier == answer or re.fullmatch(rf"{re.escape(answer)} [a-z ]+", earlier) is not None


def _is_heading(phrase: Announcement, answer: str, after: str) -> bool:
    """Tell whether four hashes open a section, and give no answer."""
    return phrase.cue is None and bool(after.strip()) and not re.search(r"\d", answer)


def _first_sentence(plain: str, start: int) -> tuple[str, int]:
    """Return the answer that a sentence from `start` on gives, and where it ends."""
    while start < len(plain) and plain[start].isspace():
        start += 1
    end = _SENTENCE_END.search(plain, start)
    stop = end.start() if end else len(plain)
    answer = _bare(plain[start:stop])
    if answer.endswith("'") and plain[start - 1 : start] == "'":
        answer = answer.rstrip("'")
    return answer, stop


def _bare(text: str) -> str:
    return text.strip().strip('*_`"“”$').strip().rstrip(".").strip().rstrip('*_`"“”$').strip()


def _tidy(rationale: str) -> str:
    return rationale.rstrip().rstrip(",;:-*_`").rstrip()
