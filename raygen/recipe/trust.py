"""What a fetched recipe may not do: reach beyond what was fetched with it, or send a secret.

Knows where a recipe says paths and keys; where a path points is the resolver's to say.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import Any

from raygen.config import Document, load_document
from raygen.core import Place, Problem, ProblemsError
from raygen.core.limited import variable_is_set
from raygen.engines import ENDPOINTS
from raygen.recipe.resolver import Origins, PathError, Resolver, output_refusal, text_refusal

_OWN_KEYS = {"base_url", "api_key_env"}
_Resolve = Callable[[Place, str], str]


def resolve_paths(
    document: Document, resolver: Resolver
) -> tuple[Document, dict[Place, str], list[Problem]]:
    """Resolve every path of a recipe whose params are filled in.

    Returns the document, in which the student's files that another folder's file names have
    absolute paths; where each path points, by its place; and a problem for each that is refused.
    """
    paths: dict[Place, str] = {}
    problems: list[Problem] = []
    for place, resolve, text in _paths(document.data, resolver):
        try:
            paths[place] = resolve(place, text)
        except PathError as error:
            problems.append(_problem(document, resolver, place, str(error)))
        except (OSError, ValueError, RuntimeError) as error:  # RuntimeError: a loop of links
            why = f"{text!r} is no path that can be followed: {error}"
            problems.append(_problem(document, resolver, place, why))
    if ("train",) in paths:
        problems += _student_problems(resolver, Path(paths["train",]))
    data = copy.deepcopy(document.data)
    for place, text in _texts(_mapping(data.get("train")), ("train",)):
        value_at(data, place[:-1])[place[-1]] = resolver.absolute(place, text)
    return Document(document.file, data, document.marks), paths, problems


def refused_keys(
    document: Document, origins: Origins, allowed: Collection[str]
) -> Iterator[Problem]:
    """Find the engines that would send a key of the user's where a stranger chose.

    One is a problem where a fetched recipe sets its address, or the environment variable that has
    the key, and that variable is set on this machine and isn't among `allowed`.
    """
    for name, engine in _mapping(document.data.get("engines")).items():
        args = _mapping(engine).get("args") or {}
        model = ENDPOINTS.get(str(_mapping(engine).get("backend")))
        if model is None or not isinstance(args, dict):
            continue
        defaults = {key: model.model_fields[key].default for key in _OWN_KEYS}
        place: Place = ("engines", name, "args")
        changed = [
            key for key in sorted(_OWN_KEYS & set(args))
            if origins.owner((*place, key)) is not None and args[key] != defaults[key]
        ]  # fmt: skip
        variable = str(args.get("api_key_env", defaults["api_key_env"]))
        sent: dict[str, Place] = {variable: (*place, changed[0])} if changed else {}
        sent |= {
            name: at
            for at, name in _sent_variables(args, place)
            if changed or origins.owner(at) is not None
        }
        for variable, at in sent.items():
            if variable_is_set(variable) and variable not in allowed:
                address = args.get("base_url", defaults["base_url"])
                mark = origins.mark(at)
                yield Problem(
                    mark.file, mark.line, mark.column,
                    f"a fetched recipe would send the environment variable {variable} to "
                    f"{address}; --allow-env {variable} allows it",
                )  # fmt: skip


def _sent_variables(args: Mapping[str, Any], place: Place) -> Iterator[tuple[Place, str]]:
    """Yield the environment variables that go into headers and queries, and where it says so."""
    for part in ("headers", "query"):
        for name, value in _mapping(args.get(part)).items():
            if isinstance(variable := _mapping(value).get("env"), str):
                yield (*place, part, name, "env"), variable


def refused_programs(document: Document, origins: Origins) -> Iterator[Problem]:
    """Find the nodes of a fetched recipe that run programs which a model wrote."""
    for name in program_nodes(document.data):
        place: Place = ("graph", name, "how")
        if any(origins.owner((*place[:2], key)) is not None for key in ("op", "how")):
            mark = origins.mark(place)
            yield Problem(
                mark.file, mark.line, mark.column,
                f"node {name!r} of a fetched recipe would run programs that a model wrote, in the "
                "sandbox; --allow-code allows it",
            )  # fmt: skip


def program_nodes(data: Mapping[str, Any]) -> Iterator[str]:
    """Yield the nodes of a recipe that run programs which a model wrote."""
    for name, node in _mapping(data.get("graph")).items():
        how = _mapping(node).get("how")
        hows = how if isinstance(how, list) else [how]
        if _mapping(node).get("op") == "check" and "code" in hows:
            yield name


def _paths(data: Mapping[str, Any], resolver: Resolver) -> Iterator[tuple[Place, _Resolve, str]]:
    """Yield the place, the rule and the text of all in a recipe that is, or may be, a path."""
    fixed: tuple[tuple[Place, _Resolve], ...] = (
        (("recipe",), resolver.name),
        (("output", "path"), resolver.output),
        (("train",), resolver.attachment),
        (("train", "output"), resolver.output),
    )
    for place, resolve in fixed:
        value: Any = data
        for key in place:
            value = _mapping(value).get(key)
        if isinstance(value, str):
            yield place, resolve, value
    for place, text in _texts(_mapping(data.get("source")).get("path"), ("source", "path")):
        yield place, resolver.rows, text
    for place, text in _texts(_mapping(data.get("train")), ("train",)):
        if place != ("train", "output"):
            yield place, resolver.student, text
    for name, engine in _mapping(data.get("engines")).items():
        yield from _engine_paths(("engines", name), _mapping(engine), resolver)
    for name, node in _mapping(data.get("graph")).items():
        if isinstance(tokenizer := _mapping(node).get("tokenizer"), str):
            yield ("graph", name, "tokenizer"), resolver.argument, tokenizer
    for place in file_references(data.get("graph"), ("graph",)):
        yield place, resolver.attachment, value_at(data, place)


def _engine_paths(
    at: Place, engine: Mapping[str, Any], resolver: Resolver
) -> Iterator[tuple[Place, _Resolve, str]]:
    if isinstance(model := engine.get("model"), str):
        yield (*at, "model"), resolver.model, model
    if engine.get("backend") != "fake":  # which reads nothing
        for place, text in _texts(engine.get("args"), (*at, "args")):
            if place[-1] != "base_url":  # `refused_keys` checks whether a key goes there
                yield place, resolver.argument, text


def file_references(value: Any, place: Place) -> Iterator[Place]:
    """Yield the places of the names in `{file: NAME}` below a place of the graph."""
    if isinstance(value, dict):
        # graph.NODE itself is never a reference: a node has at least `op` and `from`.
        if len(place) > 2 and set(value) == {"file"} and isinstance(value["file"], str):
            yield (*place, "file")
            return
        for key, child in value.items():
            yield from file_references(child, (*place, key))
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from file_references(child, (*place, index))


def value_at(data: Any, place: Place) -> Any:
    """Look up the value at a place of plain data. Raises KeyError, IndexError and TypeError."""
    for part in place:
        data = data[part]
    return data


def _student_problems(resolver: Resolver, file: Path) -> Iterator[Problem]:
    """Refuse what the student in a file of its own names beyond what was fetched with it."""
    owner = resolver.origins.owner(("train",))
    try:
        document = load_document(file) if owner is not None else None
    except ProblemsError:
        return  # they are reported where it is attached
    if owner is None or document is None:
        return
    for place, text in _texts(document.data, ()):
        if place == ("output",):
            why = output_refusal(owner, file.parent, text)
        else:
            why = text_refusal(owner, file.parent, text, is_model=place[-1:] == ("model",))
        if why is not None:
            yield document.problem(place, why)


def _problem(document: Document, resolver: Resolver, place: Place, why: str) -> Problem:
    """Make the problem of a path: at its use for a file's name, else where the value is said."""
    if place == ("train",):
        return document.problem(place, f"train: {why}")
    if place[0] == "graph" and place[-1] == "file":
        return document.problem(place[:-1], why)
    mark = resolver.origins.mark(place)
    return Problem(mark.file, mark.line, mark.column, why)


def _texts(value: Any, place: Place) -> Iterator[tuple[Place, str]]:
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _texts(child, (*place, key))
    elif isinstance(value, str):
        yield place, value


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}
