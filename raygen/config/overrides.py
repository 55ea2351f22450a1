"""Replace values of a recipe, by `--set KEY=VALUE` or by one of the recipe's variants.

A key is a param, or a dotted path into the recipe. The value of `--set` is read as YAML; what isn't
YAML, as a template `{{ question }}`, is taken as text. Knows where values stand in a recipe and
nothing of what they mean.
"""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from raygen.config.document import (
    Document,
    Mark,
    Place,
    Problem,
    ProblemsError,
    nearest,
    parse_text,
)
from raygen.config.messages import did_you_mean
from raygen.core import without_secret

ALL_VARIANTS = "all"
"""What the command line calls every variant, so that none may be named it."""

_NAMED = ("params", "engines", "graph")
"""Sections whose keys the recipe chooses: `--set` may change an entry, not invent one."""

_PARAMS = ("params",)
"""Of those, what a variant may not add to: it is part of the recipe and may have its own graph."""

_VARIANTS = "variants"

_IDENTITY = (_VARIANTS, "extends")
"""What makes a recipe the one that it is, before anything in it is replaced."""


class _OverrideError(ValueError):
    """An override whose key is not in the recipe; str() says why."""


def override_name(key: str, text: str) -> str:
    """Return how problems name an override, without an address that has a password or a key."""
    try:
        return f"--set {key}={without_secret(text)}"
    except ValueError:
        return f"--set {key}=***"


def override(
    recipe: Document, overrides: Mapping[str, str], top_level: Iterable[str]
) -> tuple[Document, list[Problem]]:
    """Replace values by dotted keys; a param's value becomes its default.

    `overrides` maps keys to YAML text, and `top_level` are the keys that a recipe may have. Returns
    the new document, and a problem for each override that couldn't be applied.
    """
    data = copy.deepcopy(recipe.data)
    marks = dict(recipe.marks)
    known = _changeable(top_level)
    problems: list[Problem] = []
    for key, text in overrides.items():
        mark = Mark(override_name(key, text), 1, 1)
        try:
            value = _value(text)
            path = _resolve_key(data, key, known)
            if path[0] == "params" and _is_text_param(data, path) and not isinstance(value, str):
                value = text
            _put(data, path, value)
        except _OverrideError as error:
            problems.append(Problem(mark.file, 1, 1, str(error)))
        else:
            marks = {p: m for p, m in marks.items() if p[: len(path)] != path}
            marks[path] = mark
    return Document(recipe.file, data, marks), problems


def apply_variant(
    recipe: Document, name: str, top_level: Iterable[str]
) -> tuple[Document, list[Problem]]:
    """Replace values as the variant `name` says.

    `top_level` are the keys that a recipe may have. Returns the new document, and problems that
    point into the variant.
    """
    variants = recipe.data.get(_VARIANTS)
    variants = variants if isinstance(variants, dict) else {}
    if name not in variants:
        hint = did_you_mean(name, variants) or "; the recipe has no variants"
        return recipe, [recipe.problem((_VARIANTS,), f"there is no variant {name!r}{hint}")]
    data = copy.deepcopy(recipe.data)
    marks = dict(recipe.marks)
    known = _changeable(top_level)
    problems: list[Problem] = []
    changes = variants[name]
    for key, value in changes.items() if isinstance(changes, dict) else ():
        written: Place = (_VARIANTS, name, key)
        try:
            path = _resolve_key(data, str(key), known, _PARAMS)
            _put(data, path, copy.deepcopy(value))
        except _OverrideError as error:
            problems.append(recipe.problem(written, str(error)))
        else:
            marks = {p: m for p, m in marks.items() if p[: len(path)] != path}
            for below, mark in recipe.section(written).marks.items():
                marks[(*path, *below)] = mark
    return Document(recipe.file, data, marks), problems


def variant_names(recipe: Document) -> list[str]:
    """List the names of a recipe's variants in the order of the file."""
    variants = recipe.data.get(_VARIANTS) if isinstance(recipe.data, dict) else None
    return list(variants) if isinstance(variants, dict) else []


def _changeable(top_level: Iterable[str]) -> list[str]:
    return sorted(set(top_level) - set(_IDENTITY))


def _value(text: str) -> Any:
    try:
        return parse_text(text, "").data
    except ProblemsError:
        return text


def _resolve_key(
    data: Mapping[str, Any], key: str, known: list[str], closed: tuple[str, ...] = _NAMED
) -> Place:
    params = data.get("params")
    params = params if isinstance(params, dict) else {}
    head, *rest = key.split(".")
    if not rest and head in params:
        return ("params", head, "default")
    if head not in known or (not rest and head in closed):
        names = [*params, *(known if rest else set(known) - set(closed))]
        raise _OverrideError(f"unknown key {key!r}{_hint(head, names)}")
    resolved: list[str | int] = [head]
    level: Any = data.get(head)
    for part in rest:
        if isinstance(level, list) and part.isdecimal() and int(part) < len(level):
            resolved.append(int(part))
            level = level[int(part)]
            continue
        if level is not None and not isinstance(level, dict):
            path = ".".join(map(str, resolved))
            raise _OverrideError(f"unknown key {key!r}; {path!r} has no keys of its own")
        if resolved == [head] and head in closed and part not in (level or {}):
            hint = did_you_mean(part, level or {})
            raise _OverrideError(f"the recipe has no '{head}.{part}'{hint}")
        resolved.append(part)
        level = level.get(part) if level else None
    return tuple(resolved)


def _hint(word: str, names: list[str]) -> str:
    guess = nearest(word, names)
    if guess is not None:
        return f"; did you mean {guess!r}?"
    return f"; expected a param or a key of the recipe: {', '.join(sorted(names))}"


def _is_text_param(data: Mapping[str, Any], path: Place) -> bool:
    param = data["params"][path[1]]
    return path[2:] == ("default",) and isinstance(param, dict) and param.get("type") == "str"


def _put(data: Any, path: Place, value: Any) -> None:
    for part in path[:-1]:
        if isinstance(data, dict) and data.get(part) is None:
            data[part] = {}
        data = data[part]
    if not isinstance(data, dict | list):
        raise _OverrideError(
            f"can't be set: {'.'.join(map(str, path[:-1]))!r} has no keys of its own"
        )
    data[path[-1]] = value  # type: ignore[index]
