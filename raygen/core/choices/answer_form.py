"""How the gold answers of a source are written: decided once for all of its rows, never by one.

A number may be an index from 0, a position from 1 or an option's own text; a letter may name an
option by its order or be its text. Knows nothing of columns, files or recipes.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from string import ascii_uppercase
from typing import Any, Literal, get_args

from raygen.core.choices.options import Options

AnswerForm = Literal["index", "position", "letter", "text"]
"""An index counts from 0, a position from 1."""
ANSWER_FORMS: tuple[AnswerForm, ...] = get_args(AnswerForm)

_Kind = Literal["number", "letter"]
_FORMS: Mapping[_Kind, tuple[AnswerForm, ...]] = {
    "number": ("text", "index", "position"),
    "letter": ("text", "letter"),
}
_WORDS: Mapping[AnswerForm, str] = {
    "index": "indices from 0",
    "position": "positions from 1",
    "letter": "the letters of options",
    "text": "the texts of options",
}
_COUNTED: list[AnswerForm] = ["index", "position"]
"""Forms that only a 0 or the number of the last option can tell apart; indices are the default."""

_INTEGER = re.compile(r"\d{1,8}(\.0+)?")
_LETTER = re.compile(r"[A-Za-z]")
_YES = frozenset({"yes", "true", "y", "t"})
_NO = frozenset({"no", "false", "n", "f"})


class UndecidedError(ValueError):
    """Answers that can be read in two ways; str() says which, and how to settle it."""


@dataclass(frozen=True, slots=True)
class AnswerForms:
    """The form of the answers that are numbers, and of those that are single letters.

    With `only`, every answer has that form.
    """

    number: AnswerForm = "index"
    letter: AnswerForm = "letter"
    only: AnswerForm | None = None


def find_answer(value: Any, options: Options, forms: AnswerForms | None = None) -> int | None:
    """Find the option that an answer stands for, as its index among the options' texts.

    Without `forms` an answer by itself is read: the mark or the text of an option before its
    letter, a text before an index. Returns None where it stands for none.
    """
    slot = _slot(value, options, forms)
    if slot is None:
        return None
    return options.slots[slot] if 0 <= slot < len(options.slots) else None


def _slot(value: Any, options: Options, forms: AnswerForms | None) -> int | None:
    if isinstance(value, bool):
        return _truth(value, options)
    text = _answer_text(value)
    if text is None:
        return None
    if forms is not None and forms.only is not None:
        marked = _marked(text, options) if forms.only == "letter" else None
        return _by_form(text, options, forms.only) if marked is None else marked
    marked = _marked(text, options)
    if marked is not None:
        return marked
    kind = _kind_of(text)
    if forms is not None and kind is not None:
        form = forms.number if kind == "number" else forms.letter
        return None if form == "index" and _is_numbered(options) else _by_form(text, options, form)
    if isinstance(value, int | float):
        return None if _is_numbered(options) else _by_form(text, options, "index")
    by_form = (_by_form(text, options, form) for form in ("text", "letter"))
    return next((found for found in by_form if found is not None), None)


def _answer_text(value: Any) -> str | None:
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int | float) else None


def _kind_of(text: str) -> _Kind | None:
    if _INTEGER.fullmatch(text):
        return "number"
    return "letter" if _LETTER.fullmatch(text) else None


def _marked(text: str, options: Options) -> int | None:
    return options.marks.index(text) if options.marks.count(text) == 1 else None


def _is_numbered(options: Options) -> bool:
    """Tell whether the options come with numbers, which an answer's number then stands for."""
    return any(mark.isdecimal() for mark in options.marks)


def _truth(value: bool, options: Options) -> int | None:
    """Find the option that says yes or no, whatever their order."""
    words = [text.casefold() for text in options.texts]
    if len(words) != 2 or not (_YES & set(words) and _NO & set(words)):
        return None
    wanted = _YES if value else _NO
    found = next(index for index, word in enumerate(words) if word in wanted)
    return options.slots.index(found)


def _by_form(text: str, options: Options, form: AnswerForm) -> int | None:
    """Return the slot of the option that a text stands for in a form."""
    if form == "text":
        return options.slots.index(options.texts.index(text)) if text in options.texts else None
    if form == "letter":
        index = ascii_uppercase.find(text.upper()) if _LETTER.fullmatch(text) else -1
    elif _INTEGER.fullmatch(text):
        index = int(text.partition(".")[0]) - (form == "position")
    else:
        return None
    return index if 0 <= index < len(options.slots) else None


@dataclass(slots=True)
class FormCount:
    """Counts which forms the answers of a source fit, row by row, and then decides."""

    _rows: Counter[_Kind] = field(default_factory=Counter)
    _fits: Counter[tuple[_Kind, AnswerForm]] = field(default_factory=Counter)
    _differs: set[tuple[_Kind, AnswerForm, AnswerForm]] = field(default_factory=set)

    def add(self, value: Any, options: Options) -> None:
        """Count one row's answer. One that has the mark of its option leaves nothing open."""
        text = None if isinstance(value, bool) else _answer_text(value)
        kind = None if text is None else _kind_of(text)
        if text is None or kind is None or _marked(text, options) is not None:
            return
        forms = [each for each in _FORMS[kind] if each != "index" or not _is_numbered(options)]
        found = {form: _option(text, options, form) for form in forms}
        fitting = [form for form in forms if found[form] is not None]
        if not fitting:
            return
        self._rows[kind] += 1
        self._fits.update((kind, form) for form in fitting)
        self._differs.update(
            (kind, one, other)
            for one, other in combinations(fitting, 2)
            if found[one] != found[other]
        )

    def decide(self, column: str, tolerance: float) -> tuple[AnswerForms, list[str]]:
        """Decide on the forms, and say what was decided where a row could be read in two ways.

        Numbers that may be indices or positions are indices, which is said. A form is possible if
        the share of rows that only another one fits is within `tolerance`; one that fits every row
        goes before others. Raises UndecidedError.
        """
        forms: dict[_Kind, AnswerForm] = {"number": "index", "letter": "letter"}
        notes = []
        for kind, rows in self._rows.items():
            possible = self._possible(kind, rows, column, tolerance)
            forms[kind] = possible[0]
            if any(possible[0] in pair for each, *pair in self._differs if each == kind):
                notes.append(
                    f"{column}: {kind}s are read as {_WORDS[possible[0]]}{_hint(possible)}"
                )
        return AnswerForms(forms["number"], forms["letter"]), notes

    def _possible(
        self, kind: _Kind, rows: int, column: str, tolerance: float
    ) -> Sequence[AnswerForm]:
        misfits = {form: rows - self._fits[kind, form] for form in _FORMS[kind]}
        possible = [form for form in _FORMS[kind] if not misfits[form]]
        possible = possible or [form for form in _FORMS[kind] if misfits[form] <= tolerance * rows]
        differs = any((kind, *pair) in self._differs for pair in combinations(possible, 2))
        if differs and possible != _COUNTED:
            raise UndecidedError(_undecided(column, kind, possible))
        if not possible:
            raise UndecidedError(_neither(column, kind, rows, misfits))
        return possible


def _option(text: str, options: Options, form: AnswerForm) -> int | None:
    slot = _by_form(text, options, form)
    return None if slot is None else options.slots[slot]


def _hint(possible: Sequence[AnswerForm]) -> str:
    """Say what to do if numbers that nothing in the source settles are no indices."""
    if possible != _COUNTED:
        return ""
    return (
        "; no row has 0, and none the number of its last option, so they may count from 1: "
        "source.answer_is: position says so, and source.answer_is: index that they don't"
    )


def _undecided(column: str, kind: _Kind, possible: Sequence[AnswerForm]) -> str:
    ways = " or ".join(_WORDS[form] for form in possible)
    return (
        f"the {kind}s in {column} can be read as {ways}, and these are different answers; "
        f"say which by source.answer_is: {' or '.join(possible)}"
    )


def _neither(column: str, kind: _Kind, rows: int, misfits: Mapping[AnswerForm, int]) -> str:
    counts = ", ".join(f"{form} {count}" for form, count in misfits.items())
    return (
        f"the {kind}s in {column} are in no one form (of {rows} rows don't fit: {counts}); "
        f"say which they have by source.answer_is: {' or '.join(misfits)}, and the others are "
        "dropped"
    )
