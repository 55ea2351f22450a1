"""Source rows as a recipe takes them: mapped, fitted to the task, keyed by content, chosen.

A row that doesn't fit its task is a row all the same: it has a key, and the reason why it will be
dropped. Knows nothing of file formats, of the keyed copy or of Ray.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Protocol

from raygen.core import ColumnType, Task, digest, plural, row_key
from raygen.core.access import Anonymous
from raygen.core.choices import AnswerForm, AnswerForms, FormCount, UndecidedError
from raygen.dataset import IDENTITY, Folder
from raygen.sources.chosen import (
    DeduplicateSpec,
    SampleSpec,
    SourceRow,
    no_column,
    sample_rows,
    without_repeats,
)
from raygen.sources.files import read_source
from raygen.sources.free_text import read_free_text
from raygen.sources.keyed import KeyedSource, write_copy
from raygen.sources.mapping import GUIDE, ColumnMapping, ColumnSource, make_mapping, needs_rows
from raygen.sources.rows import (
    SourceError,
    SourceFile,
    infer_types,
    merge_types,
    named_paths,
    problems_error,
    rows_of,
)

CHECKED_ROWS = 1000
"""How many rows of a source are looked at to see whether they fit."""
_SHOWN = 3


class SourceSpec(Protocol):
    """Where source rows come from; `columns` maps names in the recipe to those in the source."""

    @property
    def paths(self) -> Sequence[str]: ...
    @property
    def limit(self) -> int | None: ...
    @property
    def sample(self) -> SampleSpec | None: ...
    @property
    def columns(self) -> Mapping[str, ColumnSource]: ...
    @property
    def repeated(self) -> DeduplicateSpec | None: ...
    @property
    def header(self) -> Sequence[str] | None: ...
    @property
    def choices(self) -> Sequence[str] | None: ...
    @property
    def answer_is(self) -> AnswerForm | None: ...
    @property
    def invalid(self) -> Literal["drop", "refuse"]: ...
    @property
    def max_invalid(self) -> float: ...


@dataclass(frozen=True, slots=True)
class TakenRows:
    """The rows that a recipe takes of its source, in memory.

    `left_out` counts rows that repeat an earlier one, `notes` say how the source was read.
    """

    rows: Sequence[SourceRow]
    left_out: int
    types: Mapping[str, ColumnType]
    path: str
    notes: tuple[str, ...] = ()

    @property
    def keys(self) -> list[str]:
        """Their keys, in order, which identify the content."""
        return [row.key for row in self.rows]

    def copied(self, folder: Folder) -> KeyedSource:
        """Write the keyed copy under `source/`.

        Raises SourceError for values that it can't hold, DatasetError if it can't be written.
        """
        return write_copy(self.rows, self.types, folder, self.left_out, self.notes)


@dataclass(frozen=True, slots=True)
class SourceFit:
    """How many of the rows that were looked at fit the task, and the first that don't."""

    checked: int
    invalid: int
    first: tuple[str, ...]
    notes: tuple[str, ...]

    def lines(self) -> list[str]:
        """Say it for people: the share, the rows that don't fit, how the source was read."""
        share = f"{(self.checked - self.invalid) / self.checked:.1%}".replace(".0%", "%")
        return [f"{share} of {plural(self.checked, 'row')} fit", *self.first, *self.notes]


@dataclass(frozen=True, slots=True)
class _Mapped:
    """A source's rows with the recipe's columns; a text in place of one that can't be mapped."""

    files: Sequence[SourceFile]
    mapping: ColumnMapping
    types: Mapping[str, ColumnType]
    rows: Sequence[dict[str, Any] | str]
    classes: Sequence[str] = ()
    """The names of the classes that the gold answers' numbers stand for."""

    def read(self, task: Task) -> Iterator[dict[str, Any] | str]:
        """Yield the rows with their gold answers by name, and plain texts."""
        for row in self.rows:
            if isinstance(row, str):
                yield row
            elif task.name == "free_text":
                yield read_free_text(row)
            elif self.classes and isinstance(number := row.get(task.answer or ""), int):
                is_class = 0 <= number < len(self.classes)
                yield {**row, task.answer or "": self.classes[number] if is_class else None}
            else:
                yield row


def scan_columns(
    spec: SourceSpec,
    base: Path,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
    task: Task | None = None,
) -> dict[str, ColumnType]:
    """Return the types of the source's columns after the mapping. Raises SourceError."""
    types_only = not needs_rows(spec.columns) and not _reads_texts(task)
    files = read_source(
        spec.paths,
        base,
        types_only=types_only,
        max_bytes=max_bytes,
        access=access,
        header=spec.header,
    )
    mapping = _mapping(spec, files, task)
    types = _types_after(spec, mapping, files)
    if _reads_texts(task):
        types.update(_text_types(_apply(mapping, files), types))
    for column in spec.repeated.on if spec.repeated else ():
        if column not in types:
            raise no_column(named_paths(spec.paths), column, "source.deduplicate", types)
    return types


def take_rows(
    spec: SourceSpec,
    task: Task,
    base: Path,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> TakenRows:
    """Read, map, normalise and key the source; `max_bytes` bounds what a file may unpack to.

    A key is made of the row as its file has it, so neither `limit` nor other rows change it. Rows
    that repeat an earlier one are left out, `sample` picks rows by their keys, and `limit` keeps
    the first of the rest. A row that doesn't fit the task stays, with the reason. Raises
    SourceError where more than `max_invalid` of all rows don't fit, or any with `invalid: refuse`.
    """
    mapped = _mapped(spec, task, base, max_bytes, access)
    forms, notes = _decide_forms(spec, task, mapped.read(task))
    rows = _keyed_rows(task, mapped, forms)
    _check_share(spec, task, [row.invalid for row in rows if row.invalid], len(rows))
    taken, left_out = _chosen(spec, rows)
    types = {**mapped.types, **task.source_columns}
    return TakenRows(
        taken, left_out, types, named_paths(spec.paths), (*notes, *_lost_columns(mapped))
    )


def key_source(
    spec: SourceSpec,
    task: Task,
    base: Path,
    folder: Folder,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> KeyedSource:
    """Take the rows of a source for `task` and write their keyed copy to `folder`.

    `base` is where relative paths start, `max_bytes` bounds what a file may unpack to. Raises
    SourceError and DatasetError.
    """
    return take_rows(spec, task, base, max_bytes, access).copied(folder)


def check_source(
    spec: SourceSpec,
    task: Task,
    base: Path,
    max_bytes: int | None = None,
    access: Anonymous | None = None,
) -> SourceFit:
    """Look at a seeded sample of the rows: how many fit, and what the first others are like.

    All rows are looked at where the sample leaves open whether they would be refused. Raises
    SourceError for what `take_rows` would refuse.
    """
    mapped = _mapped(spec, task, base, max_bytes, access)
    forms, notes = _decide_forms(spec, task, mapped.read(task))
    total = len(mapped.rows)
    chosen = sorted(random.Random(0).sample(range(total), min(total, CHECKED_ROWS)))
    positions, read = list(rows_of(mapped.files)), list(mapped.read(task))
    problems = [
        f"{file.position(index)}: {problem}"
        for at in chosen
        if (problem := _fitted(task, read[at], forms)[1])
        for file, index in [positions[at]]
    ]
    leaves_open = bool(problems) or spec.invalid == "refuse" or spec.sample or spec.repeated
    if leaves_open and len(chosen) == total:
        _check_share(spec, task, problems, total)
    if leaves_open:
        rows = _keyed_rows(task, mapped, forms)
        _check_share(spec, task, [row.invalid for row in rows if row.invalid], total)
        _chosen(spec, rows)
    notes = [*notes, *_lost_columns(mapped)]
    return SourceFit(len(chosen), len(problems), tuple(problems[:_SHOWN]), tuple(notes))


def _mapping(spec: SourceSpec, files: Sequence[SourceFile], task: Task | None) -> ColumnMapping:
    columns = list(dict.fromkeys(name for file in files for name in file.types))
    mapping = make_mapping(named_paths(spec.paths), spec.columns, columns, spec.choices)
    if task is not None and not all(file.is_dataset for file in files):
        _check_clashes(spec, task, mapping.rename(dict.fromkeys(columns)))
    return mapping


_TRAINED_ON = ("label", "refuted")
"""Columns that a student is trained toward where a dataset of multiple choice has them."""


def _check_clashes(spec: SourceSpec, task: Task, columns: Mapping[str, Any]) -> None:
    """Refuse columns that would become something else. Raises SourceError."""
    for name in _TRAINED_ON:
        if task.name == "multiple_choice" and name in columns and name not in spec.columns:
            raise SourceError(
                f"{named_paths(spec.paths)} has a column {name!r} of its own, and a student is "
                "trained toward the dataset's column of that name; rename it by source.columns: "
                f"{{source_{name}: {name}}}, or say by {{{name}: {name}}} that it is the same; "
                f"see {GUIDE}"
            )


def _lost_columns(mapped: _Mapped) -> list[str]:
    """Say which columns of the source are left out because a dataset has its own."""
    if all(file.is_dataset for file in mapped.files):
        return []
    return [
        f"the source's column {name!r} is left out, since a dataset has its own; "
        f"source.columns: {{source_{name}: {name}}} keeps it"
        for name in IDENTITY
        if name in mapped.types
    ]


def _types_after(
    spec: SourceSpec, mapping: ColumnMapping, files: Sequence[SourceFile]
) -> dict[str, ColumnType]:
    """Return the types after the mapping; those of the same column in several files are merged."""
    kinds: dict[str, set[ColumnType]] = {}
    for file in files:
        for name, kind in file.types.items():
            kinds.setdefault(name, set()).add(kind)
    merged = {name: merge_types(column_kinds) for name, column_kinds in kinds.items()}
    rows = (row for file in files for row in file.rows) if needs_rows(spec.columns) else ()
    return mapping.types(merged, rows)


def _mapped(
    spec: SourceSpec,
    task: Task,
    base: Path,
    max_bytes: int | None,
    access: Anonymous | None,
) -> _Mapped:
    files = read_source(spec.paths, base, max_bytes=max_bytes, access=access, header=spec.header)
    mapping = _mapping(spec, files, task)
    rows = _apply(mapping, files)
    types = _types_after(spec, mapping, files)
    if _reads_texts(task):
        types.update(_text_types(rows, types))
    return _Mapped(files, mapping, types, rows, _classes(spec, task, files))


def _apply(mapping: ColumnMapping, files: Sequence[SourceFile]) -> list[dict[str, Any] | str]:
    rows: list[dict[str, Any] | str] = []
    for file, index in rows_of(files):
        try:
            rows.append(mapping.apply(file.rows[index]))
        except ValueError as error:
            rows.append(str(error))
    return rows


def _reads_texts(task: Task | None) -> bool:
    return task is not None and task.name == "free_text"


def _text_types(
    rows: Sequence[dict[str, Any] | str], types: Mapping[str, ColumnType]
) -> dict[str, ColumnType]:
    """Return the types of the columns that reading texts makes, as far as it makes any."""
    read = [read_free_text(row) for row in rows if not isinstance(row, str)]
    made = infer_types({name: row.get(name) for name in ("answer", "solution")} for row in read)
    return {
        name: kind
        for name, kind in made.items()
        if types.get(name) in (None, "json", "strings")
        and any(row.get(name) is not None for row in read)
    }


def _classes(spec: SourceSpec, task: Task, files: Sequence[SourceFile]) -> Sequence[str]:
    """Return the names that the files give to the numbers of the gold answer, if they help."""
    if not task.is_labelled:
        return ()
    column = spec.columns.get(task.answer or "", task.answer)
    names = [file.classes.get(str(column), ()) for file in files]
    if not names or any(each != names[0] for each in names):
        return ()
    return () if task.labels and not set(names[0]) <= set(task.labels) else names[0]


def _decide_forms(
    spec: SourceSpec, task: Task, rows: Iterable[dict[str, Any] | str]
) -> tuple[AnswerForms, list[str]]:
    """Decide how the answers of the whole source are written, and say what was decided.

    Raises SourceError where they can be read in two ways.
    """
    count, merged, merged_rows = FormCount(), 0, 0
    for row in rows:
        if isinstance(row, str):
            continue
        try:
            options = task.written_options(row)
        except ValueError:
            continue
        if options is None:
            break
        merged += options.merged
        merged_rows += options.merged > 0
        if task.is_labelled and task.answer and row.get(task.answer) is not None:
            count.add(row[task.answer], options)
    notes = []
    if merged:
        notes.append(
            f"{plural(merged, 'repeated option')} in {plural(merged_rows, 'row')} merged with the "
            "same option before it"
        )
    if spec.answer_is is not None:
        return AnswerForms(only=spec.answer_is), notes
    try:
        forms, decided = count.decide(task.answer or "", spec.max_invalid)
    except UndecidedError as error:
        raise SourceError(f"{named_paths(spec.paths)}: {error}; see {GUIDE}") from error
    return forms, [*notes, *decided]


def _keyed_rows(task: Task, mapped: _Mapped, forms: AnswerForms) -> list[SourceRow]:
    """Fit every row to the task and give it its key."""
    occurrences: Counter[str] = Counter()
    rows: list[SourceRow] = []
    for (file, index), row, read in zip(
        rows_of(mapped.files), mapped.rows, mapped.read(task), strict=True
    ):
        written = mapped.mapping.rename(file.rows[index]) if isinstance(row, str) else row
        content = {name: value for name, value in written.items() if value is not None}
        equal = digest(content)
        key = row_key(content, occurrences[equal])
        occurrences[equal] += 1
        data, problem = _fitted(task, read, forms)
        invalid = f"{file.position(index)}: {problem}" if problem else ""
        rows.append(SourceRow(key, _typed(written, task) if problem else data, invalid))
    return rows


def _fitted(
    task: Task, row: dict[str, Any] | str, forms: AnswerForms
) -> tuple[dict[str, Any], str]:
    """Return a row in the task's form, or why it doesn't fit."""
    if isinstance(row, str):
        return {}, row
    try:
        data = task.normalise(row, forms)
        for name in task.source_columns:
            _check_encoding(name, data[name])
    except ValueError as error:
        return {}, str(error)
    return data, ""


def _check_encoding(name: str, value: Any) -> None:
    """Raise ValueError for half a character, which no file can hold."""
    for text in value if isinstance(value, list) else [value]:
        if isinstance(text, str) and not text.isascii():
            try:
                text.encode("utf-8")
            except UnicodeEncodeError as error:
                raise ValueError(f"{name} is no text that a file can hold: {error}") from None


_PYTHON: Mapping[ColumnType, type] = {"string": str, "integer": int, "strings": list}


def _typed(row: Mapping[str, Any], task: Task) -> dict[str, Any]:
    """Keep of a row that doesn't fit what its columns can hold."""
    kept = dict(row)
    for name, kind in task.source_columns.items():
        value = kept.get(name)
        fits = isinstance(value, _PYTHON[kind]) and not isinstance(value, bool)
        if not fits or (isinstance(value, list) and not all(isinstance(v, str) for v in value)):
            kept[name] = [] if kind == "strings" else None
    return kept


def _check_share(spec: SourceSpec, task: Task, problems: Sequence[str], total: int) -> None:
    """Raise SourceError where so many rows don't fit that the mapping must be wrong."""
    if not problems or (spec.invalid == "drop" and len(problems) <= spec.max_invalid * total):
        return
    allowed = (
        f", more than source.max_invalid ({spec.max_invalid:g}) allows"
        if spec.invalid == "drop"
        else ", and source.invalid is refuse"
    )
    raise problems_error(
        problems,
        f"{len(problems)} of {total} rows don't fit the task {task.name!r}{allowed}; correct "
        f"them, or map other columns in source.columns ({GUIDE})",
    )


def _chosen(spec: SourceSpec, read: Sequence[SourceRow]) -> tuple[list[SourceRow], int]:
    """Choose the rows, and count those that repeat an earlier one.

    A row that doesn't fit repeats none, and is in a sample only where it is of the whole source.
    """
    rows, left_out = list(read), 0
    if spec.repeated is not None:
        fitting = without_repeats(
            [row for row in rows if not row.invalid], spec.repeated, named_paths(spec.paths)
        )
        keys = {row.key for row in fitting} | {row.key for row in rows if row.invalid}
        left_out = len(rows) - len(keys)
        rows = [row for row in rows if row.key in keys]
    if spec.sample is not None:
        others = [row for row in rows if row.invalid] if spec.sample.n is None else []
        fitting = [row for row in rows if not row.invalid]
        rows = [*sample_rows(fitting, spec.sample, named_paths(spec.paths)), *others]
    return rows[: spec.limit], left_out
