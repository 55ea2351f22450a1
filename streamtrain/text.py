"""How a multiple-choice row reads: the input, and the target as spans that the loss can weigh.

The label stands between two markers, before or after the rationale (arXiv 2406.14511). The same
texts serve training and evaluation. Knows nothing of tokens, models or files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from string import ascii_uppercase
from typing import Any, Literal

from streamtrain.config import Data, LabelForm
from streamtrain.errors import InputError

MARKER = "[FIN_LABEL]"

SpanKind = Literal["rationale", "label"]

_LABEL = re.compile(rf"{re.escape(MARKER)}\s*(.+?)\s*{re.escape(MARKER)}")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a target. Its text starts with the space that parts it from what is before."""

    kind: SpanKind
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """What a student learns from one row; `weight` multiplies the loss of all its spans."""

    prompt: str
    target: tuple[Span, ...]
    weight: float = 1.0


def prompt_text(
    question: str, choices: Sequence[str], control: str = "", refuted: str | None = None
) -> str:
    """The input: the question and its lettered options, behind the view's control token.

    `refuted` is the option that the rationale is to speak against.
    """
    options = "\n".join(
        f"({letter}) {choice}" for letter, choice in zip(ascii_uppercase, choices, strict=False)
    )
    before = f"{control} " if control else ""
    task = f"Refute: {refuted}\n" if refuted else ""
    return f"{before}Question: {question.strip()}\nOptions:\n{options}\n{task}Answer:"


def label_opening() -> str:
    """What stands between the input and the label's letter where the label comes first."""
    return f" {MARKER}"


def label_texts(choices: Sequence[str], form: LabelForm) -> list[str]:
    """What stands for each option as a label: its letter, or its own text."""
    return [
        letter if form == "letter" else choice.strip()
        for letter, choice in zip(ascii_uppercase, choices, strict=False)
    ]


def label_options(choices: Sequence[str], form: LabelForm) -> list[str]:
    """The continuations of `label_opening` that an evaluation compares, one for each option."""
    return [f" {text}" for text in label_texts(choices, form)]


def has_label(text: str) -> bool:
    """Whether a generated text has something between two markers."""
    return _LABEL.search(text) is not None


def before_label(text: str) -> str:
    """What a generated text says before its first marker, as a rationale that a label follows."""
    return text.partition(MARKER)[0].rstrip()


def parse_label(text: str, choices: Sequence[str], form: LabelForm) -> int | None:
    """The option that a generated text names between its first markers; None where it doesn't."""
    found = _LABEL.search(text)
    texts = label_texts(choices, form)
    return texts.index(found.group(1)) if found and found.group(1) in texts else None


def make_example(row: Mapping[str, Any], data: Data, weight: float = 1.0) -> Example:
    """The example of a dataset's row, trained toward its `label` (its `answer` where it has none).

    A row that refutes one option and has no label has the rationale alone as its target. Raises
    InputError that names the row where a column is missing or of the wrong kind.
    """
    choices = _choices(row)
    refuted = row.get("refuted") if row.get("label") is None else None
    tokens: Mapping[Any, str] = data.control or {}
    control = tokens.get(row.get("view"), "")
    prompt = prompt_text(_text(row, "question"), choices, control, refuted)
    if refuted is not None:
        return Example(prompt, (Span("rationale", f" {_text(row, 'rationale').strip()}"),), weight)
    name = label_texts(choices, data.label)[_label(row, choices)]
    label = Span("label", f" {MARKER} {name} {MARKER}")
    if data.rationale == "none":
        return Example(prompt, (label,), weight)
    why = Span("rationale", f" {_text(row, 'rationale').strip()}")
    return Example(prompt, (label, why) if data.rationale == "after" else (why, label), weight)


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if not isinstance(value, str) or not value.strip():
        raise InputError(f"{_name(row)}: {column} is {value!r}; expected a text")
    return value


def _choices(row: Mapping[str, Any]) -> list[str]:
    value = row.get("choices")
    if not isinstance(value, list) or not 2 <= len(value) <= len(ascii_uppercase):
        raise InputError(f"{_name(row)}: choices is {value!r}; expected 2 to 26 options")
    return [str(choice) for choice in value]


def _label(row: Mapping[str, Any], choices: Sequence[str]) -> int:
    column = "label" if row.get("label") is not None else "answer"
    value = row.get(column)
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < len(choices):
        raise InputError(
            f"{_name(row)}: {column} is {value!r}; expected an index from 0 to {len(choices) - 1}"
        )
    return value


def _name(row: Mapping[str, Any]) -> str:
    return f"example {row.get('id', '(without id)')} of the dataset"
