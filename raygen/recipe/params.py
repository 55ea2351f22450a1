"""The params of a recipe: their values, and `${name}` wherever the recipe uses them.

A text that is exactly `${name}` becomes the typed value; inside a longer text the value is written
out. `$${` stands for a literal `${`. Knows nothing of the other sections.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from raygen.config import Document, did_you_mean, parse_model
from raygen.core import Mark, Place, Problem, ProblemsError
from raygen.recipe.schema import Param, Scalar

_REFERENCE = re.compile(r"\$\$\{|\$\{([^{}]*)\}|\$\{")


def substitute_params(
    document: Document, values: Mapping[str, Scalar]
) -> tuple[Document, list[Problem], set[Mark]]:
    """Replace every `${name}` outside `params` in a document.

    Returns the document, the problems, and the marks of the values that still have a reference. A
    declared param without a value is left as it stands: its own problem is known already.
    """
    declared = _declared(document)
    problems: list[Problem] = []
    unfilled: set[Mark] = set()

    def visit(value: Any, path: Place) -> Any:
        if path == ("params",):
            return value
        if isinstance(value, dict):
            return {key: visit(child, (*path, key)) for key, child in value.items()}
        if isinstance(value, list):
            return [visit(child, (*path, i)) for i, child in enumerate(value)]
        if not isinstance(value, str):
            return value
        problems.extend(document.problem(path, message) for message in _faults(value, declared))
        if any(match[0] != "$${" and _name(match) not in values for match in _matches(value)):
            unfilled.add(document.mark(path))
        return fill_references(value, values)

    data = visit(document.data, ())
    return Document(document.file, data, document.marks), problems, unfilled


def resolve_params(document: Document) -> tuple[dict[str, Scalar], list[Problem]]:
    """Look up the value of every param that has a good one; the others give problems."""
    values: dict[str, Scalar] = {}
    problems: list[Problem] = []
    for name in _declared(document):
        try:
            param = parse_model(document, Param, ("params", name))
            if param.default is None:
                raise ValueError(f"has no value; set it with --set {name}=VALUE")
            values[name] = param.check(param.default)
        except ProblemsError as error:
            problems.extend(error.problems)
        except ValueError as error:
            place = ("params", name, "default")
            problems.append(document.problem(place, f"param {name!r}: {error}"))
    return values, problems


def fill_references(text: str, values: Mapping[str, Scalar]) -> Scalar:
    """Replace the references in a text by the values that are known."""
    sole = _REFERENCE.fullmatch(text)
    if sole is not None and _name(sole) in values:
        return values[_name(sole)]

    def fill(match: re.Match[str]) -> str:
        if match[0] == "$${":
            return "${"
        name = _name(match)
        return _written(values[name]) if name in values else match[0]

    return _REFERENCE.sub(fill, text)


def sole_reference(text: str) -> str | None:
    """Name the param that a text refers to and has nothing else in it; None for other texts."""
    sole = _REFERENCE.fullmatch(text)
    return _name(sole) or None if sole is not None else None


def escape_references(text: str) -> str:
    """Escape a text, so that `fill_references` turns it back into itself."""
    return text.replace("${", "$${")


def _declared(document: Document) -> Collection[str]:
    section = document.data.get("params")
    return list(section) if isinstance(section, dict) else []


def _matches(text: str) -> Iterator[re.Match[str]]:
    return _REFERENCE.finditer(text)


def _name(match: re.Match[str]) -> str:
    return (match[1] or "").strip()


def _faults(text: str, declared: Collection[str]) -> Iterator[str]:
    for match in _matches(text):
        if match[0] == "$${":
            continue
        if match[1] is None:
            yield "a '${' without its '}'; write '$${' for a literal '${'"
        elif (name := _name(match)) not in declared:
            hint = did_you_mean(name, declared) or "; the recipe has no params"
            yield f"unknown param {name!r}{hint} ('$${{' is a literal '${{')"


def _written(value: Scalar) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
