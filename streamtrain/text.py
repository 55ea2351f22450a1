"""How a multiple-choice row reads: the input, and the target as spans that the loss can weigh.

The label stands between two markers, before or after the rationale (arXiv 2406.14511). The same
texts serve training and evaluation. Knows nothing of tokens, models or files.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any, Literal

from streamtrain.config import Data, LabelForm, Placement
from streamtrain.errors import InputError

MARKER = "[FIN_LABEL]"

SpanKind = Literal["rationale", "label", "given"]
"""`given` is a part of the target that the student reads and isn't asked to learn."""

_LABEL = re.compile(rf"{re.escape(MARKER)}\s*(.+?)\s*{re.escape(MARKER)}")


@dataclass(frozen=True, slots=True)
class Span:
    """A part of a target. Its text starts with the space that parts it from what is before."""

    kind: SpanKind
    text: str


@dataclass(frozen=True, slots=True)
class Example:
    """What a student learns from one row; `weight` multiplies the loss of all its spans, and
    `part` names the part of the loss that they belong to."""

    prompt: str
    target: tuple[Span, ...]
    weight: float = 1.0
    part: str = ""


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


def opening(data: Data, view: Any, task: SpanKind = "label") -> str:
    """What an input begins with: its view's control token, and its task where there are two."""
    tokens: Mapping[Any, str] = data.control or {}
    tasks = [f"[{task}]"] if data.rationale == "task" else []
    return " ".join([*tasks, *filter(None, [tokens.get(view)])])


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


def written_rationale(text: str, placement: Placement) -> str:
    """The rationale in a whole generated text; where its label can't be found all of the text."""
    if placement == "before":
        return before_label(text).strip()
    found = _LABEL.search(text) if placement == "after" else None
    return (text[found.end() :] if found else text).replace(MARKER, "").strip()


def parse_label(text: str, choices: Sequence[str], form: LabelForm) -> int | None:
    """The option that a generated text names between its first markers; None where it doesn't."""
    found = _LABEL.search(text)
    texts = label_texts(choices, form)
    return texts.index(found.group(1)) if found and found.group(1) in texts else None


def make_example(row: Mapping[str, Any], data: Data, weight: float = 1.0) -> Example:
    """The example of a dataset's row, trained toward its `label` (its `answer` where it has none).

    A row that refutes one option and has no label has the rationale alone as its target. Where the
    rationale is a task of its own, this is the task of the label. Raises InputError that names the
    row where a column is missing or of the wrong kind.
    """
    choices = _choices(row)
    if row.get("refuted") is not None and row.get("label") is None:
        return _rationale_alone(row, data, weight)
    control = opening(data, row.get("view"))
    prompt = prompt_text(_text(row, "question"), choices, control)
    name = label_texts(choices, data.label)[_label(row, choices)]
    label = Span("label", f" {MARKER} {name} {MARKER}")
    if data.rationale in ("none", "task"):
        return Example(prompt, (label,), weight)
    why = _why(row)
    return Example(prompt, (label, why) if data.rationale == "after" else (why, label), weight)


def make_tasks(row: Mapping[str, Any], data: Data, weight: float = 1.0) -> list[Example]:
    """The tasks of a row, each a part of the loss: its label, and its rationale (distilling
    step-by-step). Raises InputError as `make_example` does."""
    why = replace(_rationale_alone(row, data, weight), part="rationale")
    example = make_example(row, data, weight)
    return [why] if example.target[0].kind == "rationale" else [replace(example, part="label"), why]


def make_factual(row: Mapping[str, Any], data: Data, weight: float = 1.0) -> Example:
    """The example of a row in its part of the loss, factual or counterfactual; of a counterfactual
    one only the label is learned (SCOTT). Raises InputError as `make_example` does."""
    example = make_example(row, data, weight)
    if not str(row.get("view")).startswith("counterfactual"):
        return replace(example, part="factual")
    spans = [
        span if span.kind == "label" else replace(span, kind="given") for span in example.target
    ]
    return replace(example, target=tuple(spans), part="counterfactual")


def _rationale_alone(row: Mapping[str, Any], data: Data, weight: float) -> Example:
    refuted = row.get("refuted") if row.get("label") is None else None
    control = opening(data, row.get("view"), "rationale")
    prompt = prompt_text(_text(row, "question"), _choices(row), control, refuted)
    return Example(prompt, (_why(row),), weight)


def _why(row: Mapping[str, Any]) -> Span:
    return Span("rationale", f" {_text(row, 'rationale').strip()}")


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
