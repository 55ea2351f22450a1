"""CSV and TSV files of a source, parsed from a stream; every cell stays the text that it is.

Python's reader and not polars' or pyarrow's, since it reads a row at a time from a stream of
bounded size and says the line that each row ends on, also where a cell has line breaks. Knows
nothing of where the bytes come from, nor of keys and tasks.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain
from pathlib import Path
from typing import BinaryIO, TextIO

from raygen.sources.packed import unpacked_name
from raygen.sources.rows import SourceError, SourceFile, problems_error
from raygen.sources.text import MAX_LINE_BYTES, too_long

csv.field_size_limit(MAX_LINE_BYTES)

_QUOTED = re.compile(r'"(?:[^"]|"")*"')
_LINES_AFTER_A_PROBLEM = 10_000
_UTF16 = (b"\xff\xfe", b"\xfe\xff")


def parse_csv(name: str, stream: BinaryIO, header: Sequence[str] | None = None) -> SourceFile:
    """Parse a header and rows; an empty cell is None. Raises SourceError.

    Cells are separated by commas, or by the semicolons or tabs that the first line has more of. In
    a file whose name ends in .tsv a quotation mark is a character like any other, unless its cells
    are written as CSV's throughout. With `header` the file has none, and these are its columns.
    """
    lines = _Lines(name, _decoded(stream))
    if Path(unpacked_name(name)).suffix.lower() != ".tsv":
        first = next(lines, "")
        delimiter = max(",;\t", key=first.count)
        return _table(name, csv.reader(_Restarted(first, lines), delimiter=delimiter, strict=True),
                      lines, header)  # fmt: skip
    head = lines.head()
    every = chain(head, lines)
    if _has_marks_of_csv(head):
        return _table(name, csv.reader(every, delimiter="\t", strict=True), lines, header)
    return _from_cells(name, _split(every, lines), header)


def _split(written: Iterable[str], lines: _Lines) -> Iterator[tuple[int, list[str]]]:
    """Split the lines of a file in which each is a row."""
    for number, line in enumerate(written, 1):
        lines.row_size = 0
        yield number, line.rstrip("\r\n").split("\t")


def _has_marks_of_csv(lines: Sequence[str]) -> bool:
    """Tell whether a TSV file's quotation marks are those that CSV puts around a cell.

    They may be where each cell with a mark is in a pair of them, with its own marks doubled: then
    some are doubled, or every cell is in a pair. Or the lines have different numbers of cells, and
    read as CSV's they have not.
    """
    rows = [line.rstrip("\r\n").split("\t") for line in lines if line.strip()]
    cells = [cell for row in rows for cell in row]
    marked = [cell for cell in cells if '"' in cell]
    if not marked:
        return False
    if len(set(map(len, rows))) == 1:
        in_pairs = all(_QUOTED.fullmatch(cell) for cell in marked)
        doubled = any('""' in cell[1:-1] for cell in marked)
        return in_pairs and (doubled or len(marked) == len(cells))
    try:
        reader = csv.reader(iter(lines), delimiter="\t", strict=True)
        return len({len(row) for row in reader if row}) == 1
    except csv.Error:
        return False


def _table(
    name: str, reader: Iterator[list[str]], lines: _Lines, header: Sequence[str] | None
) -> SourceFile:
    def numbered() -> Iterator[tuple[int, list[str]]]:
        for cells in reader:
            lines.row_size = 0
            yield reader.line_num, cells  # type: ignore[attr-defined]  # of csv's reader

    try:
        return _from_cells(name, numbered(), header)
    except csv.Error as error:
        number = reader.line_num  # type: ignore[attr-defined]
        raise SourceError(f"{name}, line {number}: {error}; correct the line") from error


def _from_cells(
    name: str, rows_of_cells: Iterable[tuple[int, list[str]]], header: Sequence[str] | None
) -> SourceFile:
    columns = list(header or ())
    numbers, rows, problems = [], [], []
    more = _LINES_AFTER_A_PROBLEM
    for number, cells in rows_of_cells:
        if not columns:
            columns = cells
        elif cells in ([], [""]):
            continue
        elif len(cells) != len(columns):
            problems.append(f"{name}, line {number}: found {len(cells)} cells")
        elif not problems:
            numbers.append(number)
            rows.append({k: v or None for k, v in zip(columns, cells, strict=True)})
        more -= bool(problems)
        if not more:
            break
    if len(set(columns)) < len(columns):
        raise SourceError(f"{name}: the header names a column twice: {', '.join(columns)}")
    if problems:
        source = "source.header" if header else "the header"
        raise problems_error(problems, f"expected {len(columns)} cells, as in {source}")
    return SourceFile(name, "line", dict.fromkeys(columns, "string"), numbers, rows)


def _decoded(stream: BinaryIO) -> TextIO:
    buffered = stream if isinstance(stream, io.BufferedReader) else io.BufferedReader(stream)  # type: ignore[type-var]
    encoding = "utf-16" if buffered.peek(2)[:2] in _UTF16 else "utf-8-sig"
    return io.TextIOWrapper(buffered, encoding, newline="")


class _Lines(Iterator[str]):
    """The lines of a text, whatever ends them; a row may have several, in quotation marks."""

    def __init__(self, name: str, text: TextIO) -> None:
        self._name, self._text = name, text
        self._number = 0
        self.row_size = 0
        """Characters of the row so far; whoever reads the rows sets it back."""

    def head(self) -> list[str]:
        """Return the first lines, in each of which a row may end."""
        head, size = [], 0
        for line in self:
            self.row_size = 0
            head.append(line)
            size += len(line)
            if size > MAX_LINE_BYTES:
                break
        return head

    def __next__(self) -> str:
        """Return the next line. Raises SourceError where its row is too long, or it's no UTF-8."""
        try:
            line = self._text.readline(MAX_LINE_BYTES + 1)
        except UnicodeError as error:
            raise SourceError(f"{self._name}: {error}; expected UTF-8, save the file so") from error
        if not line:
            raise StopIteration
        self._number += 1
        self.row_size += len(line)
        if self.row_size > MAX_LINE_BYTES:
            raise too_long(self._name, self._number)
        return line


class _Restarted(Iterator[str]):
    """Lines of which the first was read before."""

    def __init__(self, first: str, lines: Iterator[str]) -> None:
        self._first, self._lines = first, lines

    def __next__(self) -> str:
        first, self._first = self._first, ""
        return first or next(self._lines)
