"""Find where a text announces its answer: in a JSON object, a box, or a phrase ("the answer is").

Knows nothing of options: it says where an announcement starts and what follows it. What it is given
is folded text (`characters.fold`), with the same text in lower case.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from raygen.core.answers.grammar import CompiledCue, Grammar

_HASHES = re.compile(r"(?:^|\n)[^\S\n]*####\s*")
_BOX = re.compile(r"\\(?:boxed|fbox)\s*\{")
_ANSWER_KEYS = ("answer", "final_answer", "choice", "option", "label", "prediction", "predicted")
_REASON_KEYS = ("rationale", "reasoning", "explanation", "reason", "thought", "thoughts")
_MOST_OBJECTS = 500
"""So many objects from the end are looked into: a model may say `{"a":` for ever."""
_LONGEST = 20_000
_BLANKS = re.compile(r"\s{65,}")
_LONGEST_LEAD = 80
_FENCE = re.compile(r"\s*```(?:json)?\s*\Z", re.IGNORECASE)
_QUOTED = re.compile(
    r"(?:\b(?:not|wrong|incorrect|bad|example|e\.g\.|format|instead\s+of|such\s+as|like|never)\b"
    r"|n't\b)[^.\n{}]{0,40}\Z",
    re.IGNORECASE,
)
"""What before an object makes it one that is spoken of."""
_SUBJECT = re.compile(
    r"\b(first|second|third|fourth|fifth|other|next|1st|2nd|3rd|4th)\b"
    r"|\b(?:question|part|problem|q|answer)\s*#?(\d{1,2})\b",
    re.IGNORECASE,
)
_QUESTION = re.compile(
    r"\b(first|second|third|fourth|fifth|next|1st|2nd|3rd|4th)\s+(?:question|part|problem|one)\b"
    r"|\b(?:question|part|problem|q)\s*#?(\d{1,2})\b",
    re.IGNORECASE,
)
"""What names another question in the words before an announcement."""
_NUMBERED = re.compile(
    r"\s*(?:[*_#]{0,4}\s*)(?:(?:question|part|problem|q)\s*)?#?(\d{1,2})[.):]", re.IGNORECASE
)


class Announcement(NamedTuple):
    """An announcing phrase, a box or an object; the answer follows from `end` on.

    (A tuple: many are made for each answer.)

    `weak` marks a phrase that describes as often as it announces ("the answer must be a place").
    A box or an object has its own `value`, which ends at `stop`; `reason` is the reasoning that an
    object holds, and `reason_later` says that it stands after the answer there.
    """

    word: int
    end: int
    weak: bool = False
    cue: CompiledCue | None = None
    value: str | None = None
    stop: int = 0
    reason: str | None = None
    reason_later: bool = False

    def start(self, text: str) -> int:
        """Find where the phrase begins, with what leads up to it ("So the correct ...")."""
        if self.cue is None:
            return self.word
        base = _sentence_start(text, self.word)
        lead = self.cue.lead.search(text[base : self.word])
        return base + lead.start() if lead else self.word

    def subject(self, text: str) -> str | None:
        """Name the question that it answers, where it is one of several: "first", "2"."""
        named = _SUBJECT.search(text[self.word : self.end]) or _QUESTION.search(
            text[_sentence_start(text, self.word) : self.word]
        )
        if named is None:
            line = text.rfind("\n", 0, self.word) + 1
            named = _NUMBERED.match(text[line : self.word])
        return next((part.lower() for part in named.groups() if part), None) if named else None


def readable(text: str) -> tuple[str, str]:
    """Split a text before the last 20,000 characters, which are what is searched for an answer.

    Shortens long runs of white space, which a degenerate model writes until it is stopped.
    """
    text = text.strip()
    if len(text) > _LONGEST or "  " in text or "\n" in text:
        text = _BLANKS.sub(lambda run: run.group()[:64], text)
    at = max(0, len(text) - _LONGEST)
    return text[:at], text[at:]


def announcements(text: str, lower: str, grammar: Grammar) -> list[Announcement]:
    """Find the announcements of a text, in order."""
    listed = list(_phrases(text, lower, grammar))
    if "####" in text:
        listed += [Announcement(hit.start(), hit.end()) for hit in _HASHES.finditer(text)]
    valued = [*_objects(text)] if "{" in text else []
    if "\\" in text:
        valued += _boxes(text)
    if valued:
        listed = [each for each in listed if not _covered(text, each, valued)]
        listed += [_with_phrase(text, lower, grammar, each) for each in valued if each.value]
    return sorted(listed, key=lambda each: (each.end, each.word)) if len(listed) > 1 else listed


def _phrases(text: str, lower: str, grammar: Grammar) -> Iterator[Announcement]:
    for cue in grammar.cues:
        for word in cue.words:
            at = lower.find(word)
            while at >= 0:
                end = at + len(word)
                onward = cue.onward.match(text, end)
                if onward and _is_whole(text, at, end) and _announces(text, lower, at, cue):
                    weak = "weak" in cue.onward.groupindex and onward["weak"] is not None
                    yield Announcement(at, onward.end(), weak, cue)
                at = lower.find(word, end)


def _is_whole(text: str, start: int, end: int) -> bool:
    """Tell whether a word begins and ends there; scripts without spaces have no such bounds."""
    if text[end : end + 1].isalnum() or (start and text[start - 1].isalnum()):
        return text[start] > "\u2fff"
    return True


def _announces(text: str, lower: str, at: int, cue: CompiledCue) -> bool:
    if cue.unless and lower.endswith(cue.unless, max(0, at - 16), at):
        return False
    if not cue.required:
        return True
    return cue.lead.search(text[_sentence_start(text, at) : at]) is not None


def names_question(between: str) -> bool:
    """Tell whether the words before an option say that it answers another question."""
    return _SUBJECT.search(between) is not None


def repeats(text: str, end: int, start: int) -> bool:
    """Tell whether nothing is said between the end of an announcement and the start of the next."""
    return start - end <= _LONGEST_LEAD and re.search(r"\w", text[end:start]) is None


def _sentence_start(text: str, at: int) -> int:
    """Find where a sentence begins, or so far back as a phrase may."""
    base = max(0, at - _LONGEST_LEAD)
    return max(base, text.rfind(". ", base, at) + 1, text.rfind("\n", base, at) + 1)


def _covered(text: str, phrase: Announcement, valued: list[Announcement]) -> bool:
    """Tell whether a phrase stands in an object or a box, or just leads to one."""
    return any(
        each.word <= phrase.word < each.stop
        or (phrase.end <= each.word and not text[phrase.end : each.word].strip("$\\([{*_: \n`json"))
        for each in valued
    )


def _with_phrase(text: str, lower: str, grammar: Grammar, stated: Announcement) -> Announcement:
    """Let an object or a box begin where a phrase leads to it ("The answer is \\boxed{B}")."""
    start = len(_FENCE.sub("", text[: stated.word]).rstrip().rstrip("$\\([").rstrip())
    before = text[max(0, start - 200) : start] + " "
    phrases = list(_phrases(before, lower[max(0, start - 200) : start] + " ", grammar))
    if phrases and not before[phrases[-1].end :].strip():
        start = max(0, start - 200) + phrases[-1].start(before)
    return Announcement(
        start, stated.stop, False, None, stated.value, stated.stop, stated.reason,
        stated.reason_later,
    )  # fmt: skip


def _objects(text: str) -> Iterator[Announcement]:
    """Find the JSON objects with an answer; that of one which is only spoken of is empty."""
    decoder = json.JSONDecoder()
    behind = 0
    for match in list(re.finditer(r"\{", text))[-_MOST_OBJECTS:]:
        start = match.start()
        if start < behind:
            continue
        try:
            value, behind_ = decoder.raw_decode(text, start)
        except (ValueError, RecursionError):  # a plain ValueError: a number of 5,000 digits
            continue
        holder = _holder(value)
        answer = _entry(holder, _ANSWER_KEYS) if holder else None
        if holder is None or answer is None:
            continue
        behind = behind_
        if _QUOTED.search(text[max(0, start - 80) : start]):
            answer = ""
        reason = _entry(holder, _REASON_KEYS)
        names = [str(name).casefold() for name in holder]
        later = any(name in _REASON_KEYS for name in names[_position(names) :])
        yield Announcement(start, behind, False, None, answer, behind, reason, later)


def _boxes(text: str) -> Iterator[Announcement]:
    for box in list(_BOX.finditer(text))[-_MOST_OBJECTS:]:
        depth, at = 1, box.end()
        while at < len(text) and depth:
            depth += {"{": 1, "}": -1}.get(text[at], 0)
            at += 1
        value = text[box.end() : at - 1].strip()
        if not depth and value:
            yield Announcement(box.start(), at, False, None, value, at)


def _holder(value: Any) -> Mapping[str, Any] | None:
    """Return the object that has an answer: the value itself, or one directly in it."""
    if not isinstance(value, Mapping):
        return None
    if _entry(value, _ANSWER_KEYS) is not None:
        return value
    inner = [each for each in value.values() if isinstance(each, Mapping)]
    return next((each for each in reversed(inner) if _entry(each, _ANSWER_KEYS) is not None), None)


def _position(names: list[str]) -> int:
    return next((i for i, name in enumerate(names) if name in _ANSWER_KEYS), 0)


def _entry(value: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    folded = {str(name).casefold().replace(" ", "_"): entry for name, entry in value.items()}
    for key in keys:
        entry = folded.get(key)
        if isinstance(entry, list) and len(entry) == 1:
            entry = entry[0]
        if isinstance(entry, bool):
            return "yes" if entry else "no"
        if isinstance(entry, list) and all(isinstance(each, str | int | float) for each in entry):
            entry = ", ".join(map(str, entry))
        if isinstance(entry, str | int | float) and str(entry).strip():
            return str(entry).strip()
    return None
