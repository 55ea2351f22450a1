"""The text formats of a source: JSON lines, JSON, CSV and TSV, parsed from a stream.

A line, a cell and a JSON value have a largest size, so that memory is bounded by the rows. Knows
nothing of where the bytes come from, nor of keys and tasks.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TextIO

from raygen.sources.rows import SourceError, SourceFile, infer_types, problems_error

MAX_LINE_BYTES = 2**24
"""A line of JSON lines, or a row of CSV."""
MAX_JSON_BYTES = 2**28
"""A file that is one JSON value."""
_MARK = b"\xef\xbb\xbf"

csv.field_size_limit(MAX_LINE_BYTES)


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
            raise _too_long(name, number)
        yield number, line.removeprefix(_MARK) if number == 1 else line


def _too_long(name: str, number: int) -> SourceError:
    return SourceError(
        f"{name}, line {number}: more than {MAX_LINE_BYTES:,} bytes, unpacked, which is the limit "
        "of a line; cut the row, or leave out the column that makes it so long"
    )


def parse_json(name: str, stream: BinaryIO) -> SourceFile:
    """Parse a list of JSON objects, one object, or JSON lines. Raises SourceError."""
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
        items = [items]
    if not isinstance(items, list):
        raise SourceError(f"{name}: found {type(items).__name__}; expected a list of JSON objects")
    return _from_values(name, "item", range(1, len(items) + 1), items)


def _from_values(name: str, unit: str, numbers: Sequence[int], rows: Sequence[Any]) -> SourceFile:
    problems = [
        f"{name}, {unit} {number}: found {json.dumps(row)[:60]}"
        for number, row in zip(numbers, rows, strict=True)
        if not isinstance(row, dict)
    ]
    if problems:
        raise problems_error(problems, 'expected a JSON object, as in {"question": "..."}')
    return SourceFile(name, unit, infer_types(rows), numbers, rows)


def parse_csv(name: str, stream: BinaryIO) -> SourceFile:
    """Parse a header and rows, separated by tabs if the name ends in .tsv. Raises SourceError.

    An empty cell is None. A column is of integers, numbers, booleans or JSON if every filled cell
    is one, else of texts.
    """
    tab = Path(name.removesuffix(".gz")).suffix.lower() == ".tsv"
    lines = _CsvLines(name, io.TextIOWrapper(stream, "utf-8-sig", newline=""))
    reader = csv.reader(lines, delimiter="\t" if tab else ",", strict=True)
    header: list[str] = []
    numbers, raw, problems = [], [], []
    try:
        for cells in reader:
            lines.row_size = 0
            if not header:
                header = cells
            elif len(cells) == len(header):
                numbers.append(reader.line_num)
                raw.append({k: v or None for k, v in zip(header, cells, strict=True)})
            elif cells:
                problems.append(f"{name}, line {reader.line_num}: found {len(cells)} cells")
    except csv.Error as error:
        raise SourceError(f"{name}, line {reader.line_num}: {error}; correct the line") from error
    if len(set(header)) < len(header):
        raise SourceError(f"{name}: the header names a column twice: {', '.join(header)}")
    if problems:
        raise problems_error(problems, f"expected {len(header)} cells, as in the header")
    rows = _typed_cells(header, raw)
    types = infer_types(rows)
    return SourceFile(name, "line", types, numbers, rows, raw)


class _CsvLines(Iterator[str]):
    """The lines of a text, whatever ends them; a row may have several, in quotation marks."""

    def __init__(self, name: str, text: TextIO) -> None:
        self._name, self._text = name, text
        self._number = 0
        self.row_size = 0
        """Characters of the row so far; whoever reads the rows sets it back."""

    def __next__(self) -> str:
        """Return the next line. Raises SourceError where its row is too long, or it's no UTF-8."""
        try:
            line = self._text.readline(MAX_LINE_BYTES + 1)
        except UnicodeDecodeError as error:
            raise SourceError(f"{self._name}: {error}; expected UTF-8, save the file so") from error
        if not line:
            raise StopIteration
        self._number += 1
        self.row_size += len(line)
        if self.row_size > MAX_LINE_BYTES:
            raise _too_long(self._name, self._number)
        return line


def _typed_cells(header: Sequence[str], raw: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    rows = [dict(row) for row in raw]
    for column in header:
        cells = {row[column] for row in rows if row[column] is not None}
        for parse in (_integer, _number, _boolean, _nested):
            try:
                values = {cell: parse(cell) for cell in cells}
            except (ValueError, RecursionError):
                continue
            for row in rows:
                row[column] = values.get(row[column])
            break
    return rows


def _integer(cell: str) -> int:
    if not re.fullmatch(r"-?(0|[1-9]\d{0,17})", cell):
        raise ValueError(cell)
    return int(cell)


def _number(cell: str) -> float:
    if not re.fullmatch(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?", cell):
        raise ValueError(cell)
    return float(cell)


def _boolean(cell: str) -> bool:
    if cell.lower() not in ("true", "false"):
        raise ValueError(cell)
    return cell.lower() == "true"


def _nested(cell: str) -> Any:
    if cell[0] not in "[{":
        raise ValueError(cell)
    return json.loads(cell)
