"""A student file's own template of an input: what it may read, and how it is filled.

Knows nothing of rows, tokens or models.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from raygen.core import TemplateError, render, template_fields
from streamtrain.errors import InputError

_OF_QUESTIONS = ("question", "choices", "letters", "control", "task", "refuted")
_OF_CLASSIFIERS = ("text",)


def check_input(template: str, classifier: bool, control: bool, tasks: bool) -> None:
    """Raise ValueError for a template that can't be parsed, reads what not every question has or
    what tells the answer, or doesn't show what an input must: its question, its control token
    where there are any, and its task where there are two."""
    try:
        read = template_fields(template)
    except TemplateError as error:
        raise ValueError(f"data.input: {error}") from error
    known = _OF_CLASSIFIERS if classifier else _OF_QUESTIONS
    if other := sorted(read - set(known)):
        raise ValueError(
            f"data.input reads {', '.join(other)}; expected {', '.join(known)} alone, which every "
            "held-out question has too and which don't tell its answer"
        )
    needed = {
        "text": classifier,
        "question": not classifier,
        "control": control,
        "task": tasks,
    }
    missing = [name for name, wanted in needed.items() if wanted and name not in read]
    if missing:
        raise ValueError(f"data.input never shows {{{{ {missing[0]} }}}}; put it there")


def template_reads(template: str, name: str) -> bool:
    """Tell whether a template that was checked reads a field."""
    return name in template_fields(template)


def fill_input(template: str, values: Mapping[str, Any]) -> str:
    """Return the input, without space around it. Raises InputError where that fails, or it is
    empty."""
    try:
        text = render(template, values).strip()
    except TemplateError as error:
        raise InputError(f"data.input: {error}; it was to show {_shown(values)}") from error
    if not text:
        raise InputError(f"data.input: the template is empty for {_shown(values)}")
    return text


def _shown(values: Mapping[str, Any]) -> str:
    name = "question" if "question" in values else "text"
    return f"the {name} {values[name][:80]!r}"
