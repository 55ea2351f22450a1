"""Turn rows into cards: fields of marked-up pieces, which the page's template escapes.

Knows nothing of HTML, or of how rows were sampled.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from rich.text import Text

from raygen.core import Task, count, option_letter, visible
from raygen.inspection.marks import marked
from raygen.inspection.report.examples import ShownRow

FIELD = 1500
"""The most characters of a field that are shown."""

_MOST = 26
_TAGS = {"black on yellow": "mark", "red": "del", "green": "ins", "cyan": "bar", "dim": "dim"}
_WRAPPED = {"del": ("[-", "-]"), "ins": ("{+", "+}")}
_HEAD = ("view", "variant", "original", "sample")
"""Columns that aren't fields: the card's head, or the marks in its text, show them."""

_ANSWERS = {
    "answer": "right answer",
    "original_answer": "was right",
    "predicted": "predicted",
    "label": "label",
}
"""Columns that hold an option's index, and the note on that option."""
_NOTES_OF_ANSWER = ("right answer", "predicted")
"""The only notes that are shown on the right answer."""

Piece = tuple[str, str]
"""A mark, empty for plain text, and the text that it marks."""


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a card; a `long` one is set on its own lines."""

    name: str
    pieces: tuple[Piece, ...]
    long: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """A row as the page shows it."""

    status: str
    node: str
    view: str
    variant: str
    reason: str
    key: str
    title: tuple[Piece, ...]
    options: tuple[tuple[str, str, str], ...]
    """Letter, text, and a note such as `right answer, predicted`."""
    fields: tuple[Field, ...]


def card_of(shown: ShownRow, task: Task) -> Card:
    """Lay a row out as a card."""
    data = {name: _short(value) for name, value in shown.data.items()}
    stem = data.get(task.stem)
    options = tuple(_options(data, task))
    shown_elsewhere = (*_HEAD, task.stem, "choices", "key", *(_ANSWERS if options else ()))
    fields = [Field("why", (("", _cut(shown.detail)),), True)] if shown.detail else []
    fields += [
        Field(visible(name), _value(name, value, data, task), _long(value))
        for name, value in data.items()
        if name not in shown_elsewhere and value not in (None, "")
    ]
    fields.sort(key=lambda field: (field.name != "why", field.name != "rationale", not field.long))
    wrote = f"{visible(shown.node)} wrote for this source row"
    fields += [Field(wrote, (("", _cut(text.strip())),), True) for text in shown.completions[:1]]
    fields += [Field("and", (("", _cut(text.strip())),), True) for text in shown.completions[1:]]
    return Card(
        shown.status,
        visible(shown.node),
        visible(shown.view),
        visible(str(data.get("variant") or "")),
        visible(shown.reason),
        visible(shown.key),
        _value(task.stem, stem, data, task) if stem else (),
        options,
        tuple(fields),
    )


def _options(data: Mapping[str, Any], task: Task) -> Iterator[tuple[str, str, str]]:
    choices = data.get("choices")
    if task.name != "multiple_choice" or not isinstance(choices, list):
        return
    for index, choice in enumerate(choices):
        notes = [note for name, note in _ANSWERS.items() if data.get(name) == index]
        if _ANSWERS["answer"] in notes:
            notes = [note for note in notes if note in _NOTES_OF_ANSWER]
        yield option_letter(index), str(choice), ", ".join(notes)


def _value(name: str, value: Any, row: Mapping[str, Any], task: Task) -> tuple[Piece, ...]:
    # Spans are positions in the text that was masked, which a counterfactual keeps as `original`.
    before = {**row, task.stem: row.get("original") or row.get(task.stem)}
    try:
        shown = marked(name, value, row, task, before)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError):
        # A column with the name of an op's column that holds something else.
        shown = Text(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))
    return tuple(marked_pieces(shown))


def marked_pieces(text: Text) -> Iterator[Piece]:
    """Split a text into pieces with one mark each, without the brackets that repeat the mark."""
    borders = sorted({0, len(text), *(min(p, len(text)) for s in text.spans for p in s[:2])})
    for start, end in pairwise(borders):
        styles = [str(span.style) for span in text.spans if span.start <= start < span.end]
        tag = next((_TAGS[style] for style in reversed(styles) if style in _TAGS), "")
        piece = text.plain[start:end]
        opening, closing = _WRAPPED.get(tag, ("", ""))
        if opening and piece.startswith(opening) and piece.endswith(closing):
            piece = piece[len(opening) : -len(closing)]
        yield tag, visible(piece)


def _short(value: Any) -> Any:
    """Truncate a value, nested or not, to what is shown."""
    if isinstance(value, str):
        return _cut(value)
    if isinstance(value, list) and all(isinstance(text, str) for text in value):
        return [_cut(text) for text in value[:_MOST]]
    text = json.dumps(value, ensure_ascii=False, default=str)
    return value if len(text) <= 2 * FIELD else _cut(text)


def _cut(text: str) -> str:
    if len(text) > FIELD:
        text = f"{text[:FIELD]}… ({count(len(text) - FIELD)} more characters)"
    return visible(text)


def _long(value: Any) -> bool:
    return isinstance(value, Sequence | Mapping) and len(str(value)) > 48
