"""Read JSON that a program left in a file, which may be damaged, somebody else's or without an end.

Knows nothing of what a file means; the caller names what was expected, and its shape.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.core.errors import UserError

if TYPE_CHECKING:
    from pydantic import BaseModel

MAX_JSON_BYTES = 2**26
"""No file that raygen or streamtrain writes is as large, and no line of JSON lines."""

MAX_LINES_BYTES = 2**30


class DamagedFileError(UserError):
    """A file isn't what it should be; str() says which and where, and what was expected."""


def read_json_object(
    path: Path, expected: str, shape: type[BaseModel] | None = None
) -> dict[str, Any]:
    """Return the JSON object in a file.

    Args:
        path: the file.
        expected: what the file should be and what to do about it, for people.
        shape: the fields that it must have; others may stand there too.

    Raises DamagedFileError, and OSError where the file can't be read.
    """
    with path.open("rb") as file:  # a device has no end
        content = file.read(MAX_JSON_BYTES + 1)
    return parse_json_object(content, str(path), expected, shape)


def parse_json_object(
    content: bytes | str, where: str, expected: str, shape: type[BaseModel] | None = None
) -> dict[str, Any]:
    """Return the JSON object in a text; `where` names it. Raises DamagedFileError."""
    if len(content) > MAX_JSON_BYTES:
        raise DamagedFileError(f"{where}: more than {MAX_JSON_BYTES:,} bytes; expected {expected}")
    try:
        value: Any = json.loads(content)
    except json.JSONDecodeError as error:
        mark = f"line {error.lineno}, column {error.colno}"
        raise DamagedFileError(f"{where}, {mark}: {error.msg}; expected {expected}") from error
    except (ValueError, RecursionError) as error:
        raise DamagedFileError(f"{where}: {error}; expected {expected}") from error
    if not isinstance(value, dict):
        found = type(value).__name__
        raise DamagedFileError(f"{where}: found {found}; expected {expected}")
    if shape is not None and (problem := _problem(value, shape)):
        raise DamagedFileError(f"{where}: {problem}; expected {expected}")
    return value


def read_json_lines(
    path: Path, expected: str, shape: type[BaseModel] | None = None
) -> list[dict[str, Any]]:
    """Return the JSON objects in a file of JSON lines; the arguments are `read_json_object`'s.

    Raises DamagedFileError, and OSError where the file can't be read.
    """
    with path.open("rb") as file:
        content = file.read(MAX_LINES_BYTES + 1)
    if len(content) > MAX_LINES_BYTES:
        raise DamagedFileError(f"{path}: more than {MAX_LINES_BYTES:,} bytes; expected {expected}")
    return [
        parse_json_object(line, f"{path}:{number}", expected, shape)
        for number, line in enumerate(content.split(b"\n"), 1)
        if line.strip()
    ]


def _problem(value: dict[str, Any], shape: type[BaseModel]) -> str | None:
    """Return what first differs from the shape, and where."""
    from pydantic import ValidationError

    try:
        shape.model_validate(value, strict=True)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg']}"
    return None
