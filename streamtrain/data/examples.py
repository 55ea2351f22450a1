"""Multiple-choice rows as text: the input, and the target as spans that the loss weights.

Training and evaluation share these texts. Knows nothing of tokens, models or files; where a label
stands is up to the target's format.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from string import ascii_uppercase
from typing import Any

from raygen.core import prompt_text
from streamtrain.config import (
    DataConfig,
    LabelForm,
    SpanKind,
    TargetSpan,
    fill_input,
    template_reads,
)
from streamtrain.data.top_k_targets import TopKTargets
from streamtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class Example:
    """Input and target of one training example; `weight` multiplies the loss of all its spans, and
    `part` names the part of the loss that they belong to."""

    prompt: str
    target: tuple[TargetSpan, ...]
    weight: float = 1.0
    part: str = ""
    top_k: TopKTargets | None = None
    """The teacher's most probable tokens along the rationale."""


@dataclass(frozen=True, slots=True)
class InputVariant:
    """What an input asks for: its view, its task if there are two, and the option that the
    rationale should refute, if any."""

    view: Any
    task: SpanKind = "label"
    refuted: str | None = None


def input_text(
    data: DataConfig, question: str, choices: Sequence[str], variant: InputVariant
) -> str:
    """Format an input by the template of `data`, or in the built-in format.

    `question` and `choices` are those of a row, `variant` says what the input asks for. Raises
    InputError if the template fails.
    """
    tokens: Mapping[Any, str] = data.control or {}
    control = tokens.get(variant.view, "")
    task = f"[{variant.task}]" if data.form.placement == "task" else ""
    if data.input is None:
        begin = " ".join(filter(None, [task, control]))
        return prompt_text(question, choices, begin, variant.refuted)
    values = {
        "question": question.strip(),
        "choices": list(choices),
        "letters": list(ascii_uppercase[: len(choices)]),
        "control": control,
        "task": task,
        "refuted": variant.refuted or "",
    }
    return fill_input(data.input, values)


def class_text(data: DataConfig, text: str) -> str:
    """Format a text for a classifier, by the file's own template if it has one. Raises InputError
    if the template fails."""
    return text if data.input is None else fill_input(data.input, {"text": text})


def label_texts(choices: Sequence[str], form: LabelForm) -> list[str]:
    """Return the label of each option: its letter, or its own text."""
    return [
        letter if form == "letter" else choice.strip()
        for letter, choice in zip(ascii_uppercase, choices, strict=False)
    ]


def make_example(row: Mapping[str, Any], data: DataConfig, weight: float = 1.0) -> Example:
    """Format a dataset row with its `label` as the target (its `answer` if it has no label).

    A row that refutes an option and has no label has the rationale alone as its target. With the
    rationale as a task of its own, this is the task of the label. Raises InputError that names the
    row if a column is missing or has the wrong type.
    """
    choices = _choices(row)
    if row.get("refuted") is not None and row.get("label") is None:
        return _rationale_alone(row, data, weight)
    prompt = _input(row, data, InputVariant(row.get("view")))
    name = label_texts(choices, data.label)[_label(row, choices)]
    why = None if data.form.placement in ("none", "task") else _text(row, "rationale")
    return Example(prompt, data.form.spans(name, why), weight)


def make_tasks(row: Mapping[str, Any], data: DataConfig, weight: float = 1.0) -> list[Example]:
    """Format the tasks of a row, each a part of the loss: its label, and its rationale (distilling
    step-by-step, arXiv 2305.02301). Raises InputError as `make_example` does."""
    why = replace(_rationale_alone(row, data, weight), part="rationale")
    example = make_example(row, data, weight)
    return [why] if example.target[0].kind == "rationale" else [replace(example, part="label"), why]


def make_factual(row: Mapping[str, Any], data: DataConfig, weight: float = 1.0) -> Example:
    """Format a row in its part of the loss, factual or counterfactual; a counterfactual is trained
    on its label alone (SCOTT, arXiv 2305.01879). Raises InputError as `make_example` does."""
    example = make_example(row, data, weight)
    if not str(row.get("view")).startswith("counterfactual"):
        return replace(example, part="factual")
    spans = [
        span if span.kind == "label" else replace(span, kind="given") for span in example.target
    ]
    return replace(example, target=tuple(spans), part="counterfactual")


def _rationale_alone(row: Mapping[str, Any], data: DataConfig, weight: float) -> Example:
    refuted = row.get("refuted") if row.get("label") is None else None
    prompt = _input(row, data, InputVariant(row.get("view"), "rationale", refuted))
    return Example(prompt, (data.form.rationale_alone(_text(row, "rationale")),), weight)


def _input(row: Mapping[str, Any], data: DataConfig, variant: InputVariant) -> str:
    if variant.refuted and data.input is not None and not template_reads(data.input, "refuted"):
        raise InputError(
            f"{_name(row)} refutes the option {variant.refuted!r}, which data.input doesn't show; "
            "read {{ refuted }} there, or leave such rows out by data.views or data.nodes"
        )
    return input_text(data, _text(row, "question"), _choices(row), variant)


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
