"""The columns of a recipe, made of those of its source: renamed, paths, lists, templates.

Knows nothing of files, keys or what a task makes of a row.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from raygen.core import ColumnType, TemplateError, render, template_fields
from raygen.sources.chosen import no_column
from raygen.sources.rows import SourceError, infer_types

ColumnSource = str | Sequence[str]
"""A column's name, a path into a nested one, a Jinja template over the columns, or a list of
columns."""

GUIDE = "docs/data.md"
"""Where the forms of data and the recipe's lines for each are listed."""
_TEMPLATE = re.compile(r"\{[{%]")


@dataclass(frozen=True, slots=True)
class ColumnMapping:
    """How the columns of a source become the recipe's.

    `renamed` has the names of each source column, of which it may have several; `made` the columns
    that are made of others. A source column whose name another one takes is left out.
    """

    renamed: Mapping[str, Sequence[str]]
    made: Mapping[str, ColumnSource]
    fixed: Mapping[str, Any]
    """Columns that are the same in every row."""

    def apply(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """Map a row. Raises ValueError where a template fails on it."""
        mapped = self.rename(row)
        for name, written in self.made.items():
            mapped[name] = _made(written, row)
        mapped.update(self.fixed)
        return mapped

    def rename(self, by_column: Mapping[str, Any]) -> dict[str, Any]:
        """Rename what is known by column, without the columns that are made."""
        taken = {name for names in self.renamed.values() for name in names}
        taken |= self.made.keys() | self.fixed.keys()
        return {
            name: value
            for column, value in by_column.items()
            for name in self.renamed.get(column, () if column in taken else (column,))
        }

    def types(
        self, by_column: Mapping[str, ColumnType], rows: Iterable[Mapping[str, Any]]
    ) -> dict[str, ColumnType]:
        """Return the columns' types; those that are made are inferred from the source's rows."""
        types: dict[str, ColumnType] = self.rename(by_column)
        for name, written in self.made.items():
            types[name] = "strings" if not isinstance(written, str) else "string"
        paths = [name for name, written in self.made.items() if _is_path(written)]
        if paths:
            values = ({name: _made(self.made[name], row) for name in paths} for row in rows)
            types.update(infer_types(values))
        types.update(infer_types([self.fixed]))
        return types


def needs_rows(columns: Mapping[str, ColumnSource]) -> bool:
    """Tell whether a column's type can't be known without the rows."""
    return any(isinstance(written, str) and "." in written for written in columns.values())


def make_mapping(
    path: str,
    written: Mapping[str, ColumnSource],
    columns: Iterable[str],
    choices: Sequence[str] | None = None,
) -> ColumnMapping:
    """Make the mapping that a recipe writes for a source with these columns.

    `path` is the source and `choices` the options of every row, where the recipe names them. Raises
    SourceError for a column that the source lacks.
    """
    names = list(columns)
    renamed: dict[str, list[str]] = {}
    made: dict[str, ColumnSource] = {}
    for name, how in written.items():
        for column in _read_columns(how, names, f"{path}: source.columns.{name}"):
            if column not in names:
                raise no_column(path, column, f"source.columns.{name}", names)
        if isinstance(how, str) and how in names:
            renamed.setdefault(how, []).append(name)
        else:
            made[name] = how
    return ColumnMapping(renamed, made, {"choices": list(choices)} if choices else {})


def _read_columns(how: ColumnSource, names: Sequence[str], where: str) -> list[str]:
    """List the source columns that a column is made of. Raises SourceError."""
    if not isinstance(how, str):
        return [_root(each, names) for each in how]
    if not _TEMPLATE.search(how):
        return [_root(how, names)]
    try:
        return sorted(template_fields(how))
    except TemplateError as error:
        raise SourceError(f"{where}: {error}") from error


def _root(path: str, names: Sequence[str]) -> str:
    """Return the column that a path starts from."""
    root = path.partition(".")[0]
    return root if path not in names and root in names else path


def _is_path(how: ColumnSource) -> bool:
    return isinstance(how, str) and not _TEMPLATE.search(how)


def _made(how: ColumnSource, row: Mapping[str, Any]) -> Any:
    if not isinstance(how, str):
        return [_at(each, row) for each in how]
    if not _TEMPLATE.search(how):
        return _at(how, row)
    try:
        filled = {name: "" if value is None else value for name, value in row.items()}
        return render(how, filled).strip()
    except TemplateError as error:
        raise ValueError(f"{how!r}: {error}") from error


def _at(path: str, row: Mapping[str, Any]) -> Any:
    """Return what a path leads to, as in `question.stem` or `answers.text.0`; None if nothing."""
    if path in row:
        return row[path]
    value: Any = row
    for part in path.split("."):
        if isinstance(value, Mapping):
            value = value.get(part)
        elif isinstance(value, list) and part.isdecimal() and int(part) < len(value):
            value = value[int(part)]
        else:
            return None
    return value
