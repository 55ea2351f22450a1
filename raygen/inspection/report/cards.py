"""Rows as cards: fields of marked pieces, for a template that escapes them.

Knows nothing of HTML, or of how rows were chosen.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.text import Text

from raygen.core import Task, count, letter
from raygen.inspection.marks import marked
from raygen.inspection.report.examples import Shown
from raygen.inspection.report.figure import seen

FIELD = 1500
"""Characters of a field that are shown."""

_MOST = 26
_TAGS = {"black on yellow": "mark", "red": "del", "green": "ins", "cyan": "bar", "dim": "dim"}
_WRAPPED = {"del": ("[-", "-]"), "ins": ("{+", "+}")}
_HEAD = ("view", "variant", "original", "sample")
"""Columns that stand in a card's head, or in the marks of its text."""

_ANSWERS = {
    "answer": "right answer",
    "original_answer": "was right",
    "predicted": "predicted",
    "label": "label",
}
"""Columns that hold an option's index, and what is said of that option."""
_TELLING = ("right answer", "predicted")
"""What is worth saying of the right answer."""

Piece = tuple[str, str]
"""The kind of a mark, or none, and its text."""


@dataclass(frozen=True, slots=True)
class Field:
    """A name and its value in pieces; a `long` one takes a line of its own."""

    name: str
    pieces: tuple[Piece, ...]
    long: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One row."""

    status: str
    node: str
    view: str
    variant: str
    reason: str
    key: str
    title: tuple[Piece, ...]
    options: tuple[tuple[str, str, str], ...]
    """Letter, text, and what is to be said of it: gold, predicted."""
    fields: tuple[Field, ...]


def card_of(shown: Shown, task: Task) -> Card:
    """The card of a row."""
    data = {name: _short(value) for name, value in shown.data.items()}
    stem = data.get(task.stem)
    options = tuple(_options(data, task))
    told = (*_HEAD, task.stem, "choices", "key", *(_ANSWERS if options else ()))
    fields = [Field("why", (("", _cut(shown.detail)),), True)] if shown.detail else []
    fields += [
        Field(seen(name), _value(name, value, data, task), _long(value))
        for name, value in data.items()
        if name not in told and value not in (None, "")
    ]
    fields.sort(key=lambda field: (field.name != "why", field.name != "rationale", not field.long))
    wrote = f"{seen(shown.node)} wrote for this source row"
    fields += [Field(wrote, (("", _cut(text.strip())),), True) for text in shown.said[:1]]
    fields += [Field("and", (("", _cut(text.strip())),), True) for text in shown.said[1:]]
    return Card(
        shown.status,
        seen(shown.node),
        seen(shown.view),
        seen(str(data.get("variant") or "")),
        seen(shown.reason),
        seen(shown.key),
        _value(task.stem, stem, data, task) if stem else (),
        options,
        tuple(fields),
    )


def _options(data: Mapping[str, Any], task: Task) -> Iterator[tuple[str, str, str]]:
    choices = data.get("choices")
    if task.name != "multiple_choice" or not isinstance(choices, list):
        return
    for index, choice in enumerate(choices):
        words = [word for name, word in _ANSWERS.items() if data.get(name) == index]
        if _ANSWERS["answer"] in words:
            words = [word for word in words if word in _TELLING]
        yield letter(index), str(choice), ", ".join(words)


def _value(name: str, value: Any, row: Mapping[str, Any], task: Task) -> tuple[Piece, ...]:
    # The spans stand in the text that was masked, which a counterfactual has beside its own.
    before = {**row, task.stem: row.get("original") or row.get(task.stem)}
    try:
        shown = marked(name, value, row, task, before)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        # A column that bears the name of an op's own and holds something else.
        shown = Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return tuple(pieces(shown))


def pieces(text: Text) -> Iterator[Piece]:
    """A text in pieces, each with its mark; the signs that stand for colours are taken off."""
    places = sorted({0, len(text), *(min(p, len(text)) for s in text.spans for p in s[:2])})
    for start, end in pairwise(places):
        styles = [str(span.style) for span in text.spans if span.start <= start < span.end]
        tag = next((_TAGS[style] for style in reversed(styles) if style in _TAGS), "")
        piece = text.plain[start:end]
        opening, closing = _WRAPPED.get(tag, ("", ""))
        if opening and piece.startswith(opening) and piece.endswith(closing):
            piece = piece[len(opening) : -len(closing)]
        yield tag, seen(piece)


def _short(value: Any) -> Any:
    """A value no longer than is shown, however deep."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        return [_cut(one) for one in value[:_MOST]]
    whole = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(whole) <= 2 * FIELD else _cut(whole)


def _cut(text: str) -> str:
    if len(text) > FIELD:
        text = f"{text[:FIELD]}… ({count(len(text) - FIELD)} more characters)"
    return seen(text)


def _long(value: Any) -> bool:
    return isinstance(value, Sequence | Mapping) and len(str(value)) > 48
