"""A first recipe, written from a few answers: what can be guessed of a source, and the YAML.

Knows nothing of who answers.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal, get_args

import jinja2
import yaml

from raygen.config import nearest
from raygen.core import TASKS, ColumnType, TaskName
from raygen.engines import Backend
from raygen.recipe import SourceSpec
from raygen.sources import SourceError, read_source, scan_columns

Method = Literal["rationales", "counterfactual", "cod", "generate"]

METHODS: Mapping[Method, str] = {
    "rationales": "chains of thought for every row, kept where they reach its answer",
    "counterfactual": "rationales, counterfactual rows and refutations (multi-view)",
    "cod": "smallest edits that flip the label, with the teacher's probabilities",
    "generate": "a free prompt over the columns",
}
BUNDLED = "bundled:smollm2-135m-instruct"

_NAMES: Mapping[str, tuple[str, ...]] = {
    "question": ("question", "question_stem", "stem", "query", "problem", "prompt", "input"),
    "choices": ("choices", "options", "candidates", "answers"),
    "answer": ("answer", "answerkey", "gold", "correct", "answer_index", "label", "target"),
    "text": ("text", "sentence", "review", "content", "comment", "input", "question"),
    "label": ("label_text", "label", "class", "category", "sentiment", "gold", "target", "answer"),
}
_OUTPUTS: Mapping[Method, Any] = {
    "rationales": "rationales",
    "counterfactual": ["rationales", "cf_rationales", "negatives"],
    "cod": "soft",
    "generate": "answers",
}
_MOST_LABELS = 20


@dataclass(frozen=True, slots=True)
class Starter:
    """All that a first recipe says. `columns` maps the task's columns to the source's own."""

    name: str
    task: TaskName
    source: str
    method: Method
    model: str
    backend: Backend
    output: str
    columns: Mapping[str, str] = field(default_factory=dict)
    labels: Sequence[str] = ()
    base_url: str = ""

    def text(self) -> str:
        """Return the recipe, with comments."""
        stem = TASKS[self.task].stem
        renamed = {name: column for name, column in self.columns.items() if name != column}
        return template("recipe.yaml.j2").render(
            about=f"{self.name}: {METHODS[self.method]}.",
            description=f"{METHODS[self.method].capitalize()}.",
            name=self.name,
            n=1 if self.method == "generate" else 4,
            n_help="answers per row" if self.method == "generate" else "rationales per row",
            task=self.task,
            task_columns=", ".join(TASKS[self.task].columns),
            source=self.source,
            columns=renamed,
            labels=list(self.labels),
            method=self.method,
            model=self.model,
            backend=self.backend,
            base_url=self.base_url,
            prompt="{{ " + stem + " }}",
            outputs=_OUTPUTS[self.method],
            output=self.output,
        )


def methods_for(task: TaskName) -> list[Method]:
    """Return the methods that make sense for a task; the first is the one to suggest."""
    if task == "free_text":
        return ["generate", "rationales"]
    every: list[Method] = list(get_args(Method))
    return every


def source_columns(source: str, base: Path) -> dict[str, ColumnType]:
    """Return the columns of a source, empty where they can't be told without reaching it.

    Raises SourceError for a local source that can't be read.
    """
    try:
        return scan_columns(SourceSpec(path=source), base)
    except SourceError:
        if "://" in source:
            return {}
        raise


def guess_task(columns: Mapping[str, ColumnType]) -> TaskName:
    """Return the task whose columns seem to be there."""
    likely: tuple[TaskName, ...] = ("multiple_choice", "classification")
    for task in likely:
        if len(guess_columns(task, columns)) == len(TASKS[task].columns):
            return task
    return "free_text"


def guess_columns(task: TaskName, columns: Mapping[str, ColumnType]) -> dict[str, str]:
    """Return the task's columns that the source seems to have: name there by name here."""
    found: dict[str, str] = {}
    folded = {name.casefold(): name for name in columns}
    for wanted in TASKS[task].columns:
        fitting = [
            folded[name]
            for name in _NAMES[wanted]
            if name in folded and _fits(wanted, columns[folded[name]])
        ]
        free = [name for name in fitting if name not in found.values()]
        if free:
            found[wanted] = free[0]
    return found


def suggest(wanted: str, columns: Mapping[str, ColumnType]) -> str | None:
    """Return the column that is spelt most like the wanted one."""
    return nearest(wanted, columns)


def guess_labels(source: str, column: str, base: Path) -> list[str]:
    """Return the values of a label column, where they are few; sorted, or in order of their
    index."""
    values = {
        row[column]
        for file in read_source(source, base)
        for row in file.rows
        if row.get(column) is not None
    }
    if not 2 <= len(values) <= _MOST_LABELS:
        return []
    return [str(value) for value in sorted(values, key=lambda v: (str(type(v)), v))]


def path_from(recipe: Path, path: str) -> str:
    """Return a path that the user gave from here, as the recipe's own folder has it."""
    if "://" in path or Path(path).is_absolute():
        return path
    return Path(os.path.relpath(path, recipe.parent or ".")).as_posix()


def template(name: str) -> jinja2.Template:
    """Return one of the texts in `starters/`, to be filled in."""
    text = files("raygen.scaffold").joinpath("templates", name).read_text("utf-8")
    environment = jinja2.Environment(  # noqa: S701 - YAML, whose values the filter quotes, and code
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["y"] = _quoted
    return environment.from_string(text)


def _fits(wanted: str, kind: ColumnType) -> bool:
    if wanted == "choices":
        return kind in ("strings", "json")
    return kind != "strings" and (kind != "json" or wanted == "answer")


def _quoted(value: Any) -> str:
    """Return a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()
