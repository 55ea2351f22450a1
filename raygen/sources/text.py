"""JSON lines and JSON files of a source, parsed from a stream.

A line and a JSON value have a largest size, so that memory is bounded by the rows. Python's reader
and not pyarrow's or polars', which give a column one type for all rows: a row's content, and with
it its key, would depend on the others. Knows nothing of where the bytes come from, nor of keys and
tasks.
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Sequence
from typing import Any, BinaryIO

from raygen.sources.rows import SourceError, SourceFile, infer_types, problems_error

MAX_LINE_BYTES = 2**24
"""A line of JSON lines, or a row of CSV."""
MAX_JSON_BYTES = 2**28
"""A file that is one JSON value."""
_MARK = b"\xef\xbb\xbf"
_ROWS_IN = ("examples", "data", "rows", "items", "records", "instances", "questions")
"""Keys of an object under which files of one JSON value have their rows."""


def parse_jsonl(name: str, stream: BinaryIO) -> SourceFile:
    """Parse a JSON object per line, skipping empty lines.

    Raises SourceError that names all bad lines.
    """
    numbers, rows, problems = [], [], []
    for number, line in _lines(name, stream):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except json.JSONDecodeError as error:
            problems.append(f"{name}, line {number}, column {error.colno}: {error.msg}")
        except (ValueError, RecursionError) as error:  # no UTF-8, or a number of 5,000 digits
            problems.append(f"{name}, line {number}: {error}")
        else:
            numbers.append(number)
            rows.append(row)
    if problems:
        raise problems_error(problems, "expected one JSON object per line; correct these lines")
    return _from_values(name, "line", numbers, rows)


def _lines(name: str, stream: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Yield lines with their numbers. Raises SourceError for one that is too long."""
    number = 0
    while line := stream.readline(MAX_LINE_BYTES + 1):
        number += 1
        if len(line) > MAX_LINE_BYTES:
            raise too_long(name, number)
        yield number, line.removeprefix(_MARK) if number == 1 else line


def too_long(name: str, number: int) -> SourceError:
    """Make the error of a line or row that is too long."""
    return SourceError(
        f"{name}, line {number}: more than {MAX_LINE_BYTES:,} bytes, unpacked, which is the limit "
        "of a line; cut the row, or leave out the column that makes it so long"
    )


def parse_json(name: str, stream: BinaryIO) -> SourceFile:
    """Parse a list of JSON objects, alone or as {"examples": [...]}, one object, or JSON lines.

    Raises SourceError.
    """
    content = stream.read(MAX_JSON_BYTES + 1)
    if len(content) > MAX_JSON_BYTES:
        raise SourceError(
            f"{name}: more than {MAX_JSON_BYTES:,} bytes, unpacked, which is the limit of a .json "
            "file; write it as JSON lines (.jsonl), which are read line by line and have no limit"
        )
    if not content or content.isspace():
        return SourceFile(name, "item", {})
    try:
        items = json.loads(content.removeprefix(_MARK))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # several values: JSON lines under another name
            return parse_jsonl(name, io.BytesIO(content))
        raise SourceError(
            f"{name}, line {error.lineno}, column {error.colno}: {error.msg}"
        ) from error
    except (ValueError, RecursionError) as error:
        raise SourceError(f"{name}: {error}; expected JSON in UTF-8") from error
    if isinstance(items, dict):
        items = next((items[key] for key in _ROWS_IN if _is_rows(items.get(key))), [items])
    if not isinstance(items, list):
        raise SourceError(f"{name}: found {type(items).__name__}; expected a list of JSON objects")
    return _from_values(name, "item", range(1, len(items) + 1), items)


def _is_rows(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(row, dict) for row in value)


def _from_values(name: str, unit: str, numbers: Sequence[int], rows: Sequence[Any]) -> SourceFile:
    problems = [
        f"{name}, {unit} {number}: found {json.dumps(row)[:60]}"
        for number, row in zip(numbers, rows, strict=True)
        if not isinstance(row, dict)
    ]
    if problems:
        raise problems_error(problems, 'expected a JSON object, as in {"question": "..."}')
    return SourceFile(name, unit, infer_types(rows), numbers, rows)
