"""The text formats of a source: JSON lines, JSON, CSV and TSV, parsed from bytes.

Knows nothing of where the bytes come from, nor of keys and tasks.
"""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygen.sources.rows import SourceError, SourceFile, infer_types, problems_error

csv.field_size_limit(2**31 - 1)


def parse_jsonl(name: str, content: bytes) -> SourceFile:
    """Parse a JSON object per line, skipping empty lines.

    Raises SourceError that names all bad lines.
    """
    numbers, rows, problems = [], [], []
    for number, line in enumerate(content.removeprefix(b"\xef\xbb\xbf").split(b"\n"), 1):
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


def parse_json(name: str, content: bytes) -> SourceFile:
    """Parse a list of JSON objects, one object, or JSON lines. Raises SourceError."""
    if not content.strip():
        return SourceFile(name, "item", {})
    try:
        items = json.loads(content.removeprefix(b"\xef\xbb\xbf"))
    except json.JSONDecodeError as error:
        if error.msg == "Extra data":  # several values: JSON lines under another name
            return parse_jsonl(name, content)
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


def parse_csv(name: str, content: bytes) -> SourceFile:
    """Parse a header and rows, separated by tabs if the name ends in .tsv. Raises SourceError.

    An empty cell is None. A column is of integers, numbers, booleans or JSON if every filled cell
    is one, else of texts.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise SourceError(f"{name}: {error}; expected UTF-8, save the file so") from error
    tab = Path(name.removesuffix(".gz")).suffix.lower() == ".tsv"
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tab else ",", strict=True)
    header: list[str] = []
    numbers, raw, problems = [], [], []
    try:
        for cells in reader:
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
