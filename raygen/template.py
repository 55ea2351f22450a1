"""Sandboxed Jinja: prompts and expressions of a recipe, and which fields they read.

A recipe is data, never code: templates see the row and nothing else, and an undefined name is an
error. Knows nothing of recipes or ops.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

import jinja2
import jinja2.meta
from jinja2.sandbox import ImmutableSandboxedEnvironment

from raygen.task import letter


class TemplateError(ValueError):
    """A template that doesn't parse, reads an unknown field, or fails on a row."""


def _environment() -> ImmutableSandboxedEnvironment:
    environment = ImmutableSandboxedEnvironment(
        undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True, autoescape=False
    )
    environment.globals = {"range": environment.globals["range"]}
    environment.filters["letter"] = letter
    return environment


_ENVIRONMENT = _environment()


@lru_cache(maxsize=1024)
def fields(text: str) -> frozenset[str]:
    """The names of the row's columns that a template reads. Raises TemplateError."""
    try:
        names = jinja2.meta.find_undeclared_variables(_ENVIRONMENT.parse(text))
    except jinja2.TemplateSyntaxError as error:
        raise TemplateError(f"line {error.lineno} of the template: {error.message}") from error
    return frozenset(names) - {"range"}


def as_template(expression: str) -> str:
    """An expression in the form of a template that reads the same fields."""
    return "{{ (" + expression + ") }}"


def render(text: str, data: Mapping[str, Any]) -> str:
    """The template filled with the row's columns. Raises TemplateError."""
    try:
        return _compiled(text).render(data)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise TemplateError(f"template failed: {error}") from error


def evaluate(expression: str, data: Mapping[str, Any]) -> Any:
    """The value of a Jinja expression over the row's columns. Raises TemplateError."""
    try:
        value = _expression(expression)(data)
    except (jinja2.TemplateError, TypeError, ValueError, ArithmeticError, LookupError) as error:
        raise TemplateError(f"{expression!r} failed: {error}") from error
    if isinstance(value, jinja2.Undefined):
        raise TemplateError(f"{expression!r} reads a field that the row doesn't have")
    return value


@lru_cache(maxsize=1024)
def _compiled(text: str) -> jinja2.Template:
    return _ENVIRONMENT.from_string(text)


@lru_cache(maxsize=1024)
def _expression(expression: str) -> Callable[[Mapping[str, Any]], Any]:
    return _ENVIRONMENT.compile_expression(expression, undefined_to_none=False)
