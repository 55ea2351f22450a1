"""Sandboxed Jinja: prompts and expressions of a recipe, and which fields they read.

A recipe is data, never code: templates see the row and nothing else, and an undefined name is an
error. Knows nothing of recipes or ops.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from contextvars import ContextVar
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.meta

from raygen.core.answers import read_answer, read_free_answer
from raygen.core.sandbox import Sandbox
from raygen.core.task import option_letter

_MARKUP_END = re.compile(r"[-+]?[}%#]\}")
_FAILURES = (
    jinja2.TemplateError,
    ArithmeticError,
    AssertionError,
    AttributeError,
    LookupError,
    MemoryError,
    NameError,
    RuntimeError,
    TypeError,
    ValueError,
)
"""What a template can raise on a row: those of jinja, and of its filters on values of any type."""


class TemplateError(ValueError):
    """A template that doesn't parse, reads an unknown field, or fails on a row."""


def _reading(text: str, choices: Sequence[str] = ()) -> dict[str, Any]:
    """Read the answer of a text: `{{ (said | read_answer(choices)).predicted }}`."""
    if choices:
        read = read_answer(text, [str(choice) for choice in choices])
        option = read.option
        label = None if option is None else choices[option]
        columns: dict[str, Any] = {"predicted": option, "label": label}
        rest = (read.rationale, read.confidence, read.answer_first)
    else:
        free = read_free_answer(text)
        columns = {"predicted": free.text, "label": free.text}
        rest = (free.rationale, free.confidence, free.answer_first)
    return {**columns, **dict(zip(("rationale", "confidence", "answer_first"), rest, strict=True))}


Comparison = Callable[[Any, Any, str | None, Sequence[str]], bool]
"""Whether an answer is right by a gold answer, by a checker's name, with the task's options."""
_COMPARISON: ContextVar[Comparison | None] = ContextVar("comparison", default=None)


def _equals(answer: Any, gold: Any, how: str | None = None, options: Sequence[str] = ()) -> bool:
    """Compare two answers: `predicted | equals(answer, how='number')`."""
    compare = _COMPARISON.get()
    if compare is None:
        raise ValueError("`equals` is for the expressions of the ops `filter` and `map`")
    return compare(answer, gold, how, [str(option) for option in options])


_ENVIRONMENT = Sandbox({"letter": option_letter, "read_answer": _reading, "equals": _equals})


@lru_cache(maxsize=1024)
def template_fields(text: str) -> frozenset[str]:
    """Return the names of the row's columns that a template reads. Raises TemplateError."""
    try:
        _compiled(text)
        names = jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno} of the template: {error.message}") from error
    except (SyntaxError, *_FAILURES) as error:
        # Python's own, of what jinja made of it: loops or brackets too deep.
        raise TemplateError(f"the template can't be compiled: {error}") from error
    return frozenset(names) - {"range"}


def expression_as_template(expression: str) -> str:
    """Return an expression in the form of a template that reads the same fields."""
    return "{{ (" + expression + ") }}"


def literal_ending(text: str) -> str:
    """Return the end of a template's last line that is its own words, and none of a row's."""
    last = _MARKUP_END.split(text.removesuffix("\n"))[-1]
    return last.rsplit("\n", 1)[-1]


def render(text: str, data: Mapping[str, Any]) -> str:
    """Return the template filled with the row's columns. Raises TemplateError."""
    try:
        return _ENVIRONMENT.render(_compiled(text), data)
    except (SyntaxError, *_FAILURES) as error:
        raise TemplateError(f"template failed: {error}") from error


def evaluate_expression(
    expression: str, data: Mapping[str, Any], comparison: Comparison | None = None
) -> Any:
    """Return the value of a Jinja expression over the row's columns. Raises TemplateError.

    `comparison` is what the filter `equals` asks; what it raises beyond a template's own failures
    passes.
    """
    token = _COMPARISON.set(comparison)
    try:
        value = _ENVIRONMENT.evaluate(_expression(expression), data)
    except (SyntaxError, *_FAILURES) as error:
        raise TemplateError(f"{expression!r} failed: {error}") from error
    finally:
        _COMPARISON.reset(token)
    if isinstance(value, jinja2.Undefined):
        raise TemplateError(f"{expression!r} reads a field that the row doesn't have")
    return value


@lru_cache(maxsize=1024)
def _compiled(text: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(text)


@lru_cache(maxsize=1024)
def _expression(expression: str) -> Callable[[Mapping[str, Any]], Any]:
    return _ENVIRONMENT.compile_expression(expression, undefined_to_none=False)
