"""Words for problems with a user's file: what was found, what was expected, the nearest spelling.

Knows pydantic's error details and JSON Schema, and nothing of files, positions or recipes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from difflib import get_close_matches
from typing import Any

_SHOWN = 60
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "string": "a text",
    "bool": "true or false",
    "none": "nothing",
    "list": "a list",
    "tuple": "a list",
    "set": "a list",
    "frozen_set": "a list",
    "dict": "a mapping",
    "model": "a mapping",
    "dataclass": "a mapping",
    "finite_number": "a finite number",
}
_BOUNDS = {
    "greater_than": "a number above {gt}",
    "greater_than_equal": "at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "at most {le}",
    "multiple_of": "a multiple of {multiple_of}",
    "string_too_short": "a text of at least {min_length} characters",
    "string_too_long": "a text of at most {max_length} characters",
    "string_pattern_mismatch": "a text that matches {pattern}",
    "too_short": "at least {min_length} entries",
    "too_long": "at most {max_length} entries",
    "literal_error": "{expected}",
    "enum": "{expected}",
}


def nearest(word: str, options: Iterable[str]) -> str | None:
    """Guess which option a misspelled word meant; None if none is close."""
    by_folded = {_fold(option): option for option in sorted(options, reverse=True)}
    close = get_close_matches(_fold(word), sorted(by_folded), n=1, cutoff=0.6)
    return by_folded[close[0]] if close else None


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """End a sentence with the nearest spelling, or else with all options."""
    known = sorted(options)
    guess = nearest(word, known)
    if guess is not None:
        return f"; did you mean {guess!r}?"
    return f"; expected one of: {', '.join(known)}" if known else ""


def found(value: Any) -> str:
    """Describe a value as a reader of the file knows it, shortened."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return f"the text {_short(repr(value))}"
    if isinstance(value, Mapping):
        return f"a mapping ({_short(', '.join(map(str, value)))})" if value else "an empty mapping"
    if isinstance(value, list | tuple):
        return f"a list of {len(value)}" if value else "an empty list"
    return _short(str(value))


def expected(error: Mapping[str, Any]) -> str | None:
    """Say what a pydantic error detail asks for; None if only its message says so."""
    kind = str(error["type"])
    if kind in _BOUNDS:
        context = error.get("ctx", {}).items()
        plain = {k: int(v) if isinstance(v, float) and v.is_integer() else v for k, v in context}
        return _BOUNDS[kind].format(**plain)
    if kind == "int_from_float":
        return _KINDS["int"]
    for suffix in ("_type", "_parsing", "_attributes_type", "_required"):
        if kind.removesuffix(suffix) in _KINDS:
            return _KINDS[kind.removesuffix(suffix)]
    return None


def reason(errors: Sequence[Mapping[str, Any]]) -> str:
    """Sum up all errors at one position in a sentence; each member of a union reports its own."""
    value = errors[0]["input"]
    alternatives: list[str] = []
    for error in errors:
        text = expected(error)
        if text is None:
            return _validator_message(error)
        if text not in alternatives:
            alternatives.append(text)
    sentence = f"found {found(value)}, expected {' or '.join(alternatives)}"
    if isinstance(value, str):
        literals = [e["ctx"]["expected"] for e in errors if e["type"] == "literal_error"]
        options = [part for text in literals for part in text.split("'")[1::2]]
        guess = nearest(value, options)
        sentence += f"; did you mean {guess!r}?" if guess else ""
    return sentence


def known_keys(schema: Mapping[str, Any], path: Sequence[str | int]) -> list[str]:
    """List the keys that any alternative of a JSON Schema allows in the mapping at `path`."""
    level = _alternatives(schema, schema)
    for part in path:
        level = [
            deeper
            for schema_part in level
            for below in _below(schema_part, part)
            for deeper in _alternatives(below, schema)
        ]
    return sorted({key for schema_part in level for key in schema_part.get("properties", {})})


def _below(schema: Mapping[str, Any], part: str | int) -> list[Mapping[str, Any]]:
    if isinstance(part, int):
        candidates = [schema.get("items")]
    else:
        properties = schema.get("properties", {})
        candidates = [properties.get(part, schema.get("additionalProperties"))]
    return [candidate for candidate in candidates if isinstance(candidate, Mapping)]


def _alternatives(schema: Mapping[str, Any], root: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    if "$ref" in schema:
        return _alternatives(root["$defs"][schema["$ref"].rsplit("/", 1)[1]], root)
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    return [schema, *(deep for option in options for deep in _alternatives(option, root))]


def _validator_message(error: Mapping[str, Any]) -> str:
    message = str(error.get("ctx", {}).get("error", error["msg"]))
    if error["type"] in ("value_error", "assertion_error"):
        return message
    return f"found {found(error['input'])}; {message[0].lower()}{message[1:]}"


def _fold(word: str) -> str:
    return word.casefold().replace("-", "_")


def _short(text: str) -> str:
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 3]}..."
