"""A table of texts, shown as aligned text, CSV or LaTeX.

Knows nothing of what the cells mean.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Form = Literal["text", "csv", "latex"]

_LATEX = str.maketrans({c: rf"\{c}" for c in "&%$#_{}"} | {"\\": r"\textbackslash{}"})


@dataclass(frozen=True, slots=True)
class TextTable:
    """Column names, and rows with one text per column."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]

    def show(self, form: Form) -> str:
        """Format the table, without a newline at its end."""
        if form == "csv":
            return self._csv()
        return self._latex() if form == "latex" else self._text()

    def _text(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.columns, *self.rows, strict=True)]
        lines = (self.columns, tuple("-" * width for width in widths), *self.rows)
        return "\n".join(_padded(line, widths) for line in lines)

    def _csv(self) -> str:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerows((self.columns, *self.rows))
        return text.getvalue().rstrip("\n")

    def _latex(self) -> str:
        lines = [" & ".join(cell.translate(_LATEX) for cell in row) for row in self.rows]
        head = " & ".join(cell.translate(_LATEX) for cell in self.columns)
        align = "l" + "r" * (len(self.columns) - 1)
        body = "".join(f"{line} \\\\\n" for line in lines)
        return (
            f"\\begin{{tabular}}{{{align}}}\n\\hline\n{head} \\\\\n\\hline\n{body}"
            "\\hline\n\\end{tabular}"
        )


def _padded(cells: Sequence[str], widths: Sequence[int]) -> str:
    both = zip(cells, widths, strict=True)
    return "  ".join(cell.ljust(width) for cell, width in both).rstrip()
