"""Write a starter recipe from a few answers, and guess answers from the source.

Knows nothing of how the answers are obtained.
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
    """The answers that a starter recipe is written from.

    `columns` maps the task's columns to those of the source, `labels` are the classes of a
    classification, `base_url` is the address of an OpenAI-compatible server.
    """

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
        """Render the recipe, with comments."""
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
    """List the methods that make sense for a task, the one to suggest first."""
    if task == "free_text":
        return ["generate", "rationales"]
    every: list[Method] = list(get_args(Method))
    return every


def source_columns(source: str, base: Path) -> dict[str, ColumnType]:
    """Scan the types of a source's columns; empty for a remote source that can't be read.

    Raises SourceError for a local source that can't be read.
    """
    try:
        return scan_columns(SourceSpec(path=source), base)
    except SourceError:
        if "://" in source:
            return {}
        raise


def guess_task(columns: Mapping[str, ColumnType]) -> TaskName:
    """Guess the task from the columns: the first whose columns all seem to exist."""
    likely: tuple[TaskName, ...] = ("multiple_choice", "classification")
    for task in likely:
        if len(guess_columns(task, columns)) == len(TASKS[task].columns):
            return task
    return "free_text"


def guess_columns(task: TaskName, columns: Mapping[str, ColumnType]) -> dict[str, str]:
    """Guess which columns of the source are the task's: source names by task names."""
    guesses: dict[str, str] = {}
    folded = {name.casefold(): name for name in columns}
    for column in TASKS[task].columns:
        candidates = [
            folded[name]
            for name in _NAMES[column]
            if name in folded and _fits(column, columns[folded[name]])
        ]
        free = [name for name in candidates if name not in guesses.values()]
        if free:
            guesses[column] = free[0]
    return guesses


def suggest(column: str, columns: Mapping[str, ColumnType]) -> str | None:
    """Find the column with the most similar name; None where none is similar."""
    return nearest(column, columns)


def guess_labels(source: str, column: str, base: Path) -> list[str]:
    """Collect the values of a label column, sorted; empty unless there are 2 to 20.

    `base` is the folder that a relative source path starts from.
    """
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
    """Rewrite a path relative to the current folder as one relative to the recipe's folder."""
    if "://" in path or Path(path).is_absolute():
        return path
    return Path(os.path.relpath(path, recipe.parent or ".")).as_posix()


def template(name: str) -> jinja2.Template:
    """Load a template of `templates/` by its path there."""
    text = files("raygen.scaffold").joinpath("templates", name).read_text("utf-8")
    environment = jinja2.Environment(  # noqa: S701 - YAML, whose values the filter quotes, and code
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters["y"] = _quoted
    return environment.from_string(text)


def _fits(column: str, kind: ColumnType) -> bool:
    if column == "choices":
        return kind in ("strings", "json")
    return kind != "strings" and (kind != "json" or column == "answer")


def _quoted(value: Any) -> str:
    """Format a value as YAML on one line."""
    text = yaml.safe_dump(value, default_flow_style=True, allow_unicode=True, width=10**6)
    return text.removesuffix("...\n").strip()
