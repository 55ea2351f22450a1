"""The command `init`: asks a few questions, writes a commented recipe and checks it.

With --op it writes the package of a new op. It parses, asks and prints; `raygen.scaffold` guesses
and writes.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any, get_args

import click

from raygen.cli.options import FILE, pairs
from raygen.cli.terminal import Command, debug_option, programs
from raygen.config import did_you_mean
from raygen.core import TASKS, ColumnType, ProblemsError, TaskName, UserError, echo, prompt
from raygen.engines import Backend
from raygen.engines.models import bundled_problem
from raygen.planning import RecipeRequest, prepare
from raygen.scaffold import (
    BUNDLED,
    METHODS,
    Starter,
    guess_columns,
    guess_labels,
    guess_task,
    methods_for,
    path_from,
    source_columns,
    suggest,
    write_package,
)

_ENGINES = {
    "bundled": "a tiny model that comes along; to try things out",
    "vllm": "a model on this machine or its cluster, by vLLM",
    "transformers": "a model on this machine, without vLLM",
    "openai": "an OpenAI-compatible server",
}
_MODELS = {"vllm": "Qwen/Qwen2.5-7B-Instruct", "transformers": "Qwen/Qwen2.5-0.5B-Instruct",
           "openai": "gpt-4o-mini"}  # fmt: skip
_SERVER = "https://api.openai.com/v1"


@click.command(cls=Command)
@click.argument("path", type=FILE, required=False, metavar="[FILE]")
@click.option("--name", help="The recipe's name.")
@click.option("--source", help="The rows: a file, a glob, s3://, hf://datasets/...")
@click.option("--task", type=click.Choice(list(TASKS)), help="What a row is.")
@click.option(
    "--column",
    "columns",
    multiple=True,
    callback=pairs,
    metavar="TASK=SOURCE",
    help="A column of the task, and its name in the source.",
)
@click.option("--label", "labels", multiple=True, help="A class of a classification, in order.")
@click.option("--method", type=click.Choice(list(METHODS)), help="What to make of a row.")
@click.option("--engine", type=click.Choice(list(_ENGINES)), help="Where the teacher runs.")
@click.option("--model", help="The teacher: a hub id, a folder, a server's name for it.")
@click.option("--base-url", help="The address of an OpenAI-compatible server.")
@click.option("--out", metavar="DIR", help="The dataset's folder.")
@click.option("--yes", is_flag=True, help="Take what is suggested where no option says other.")
@click.option(
    "--op", metavar="NAME", help="Write the package of a new op instead; FILE is its folder."
)
@debug_option
def init(path: Path | None, yes: bool, op: str | None, **answers: Any) -> None:
    """Ask a few questions and write a first recipe, with comments."""
    if op is not None:
        _write_op(op, path, [option for option, value in answers.items() if value])
        return
    path = path or Path("recipe.yaml")
    if os.path.lexists(path):
        raise UserError(f"{path} is there already; nothing was changed. Name another file")
    starter = _ask(path, _Questions(answers, yes))
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("x", encoding="utf-8") as file:
        file.write(starter.text())
    echo(f"\nwrote {path}")
    try:
        prepare(RecipeRequest(path))
    except (ProblemsError, UserError) as error:
        echo(f"It isn't valid here yet:\n{error}", err=True)
    echo("Next:")
    for command in ("preview", "plan", "apply"):
        echo(f"  {programs()}raygen {command} {path}")


def _write_op(name: str, folder: Path | None, others: Sequence[str]) -> None:
    if others:
        option = others[0].removesuffix("s").replace("_", "-")
        raise UserError(f"--op writes an op's package and takes no --{option}; leave that out")
    where, written = write_package(name, folder)
    echo(f"wrote {where}")
    for path in written:
        echo(f"  {path}")
    echo("Next:")
    for command in (f"cd {where}", 'pip install --editable ".[dev]"', "pytest",
                    "raygen apply recipe.yaml"):  # fmt: skip
        echo(f"  {command}")


@dataclass(frozen=True, slots=True)
class _Questions:
    """Answers questions from the command's options, else by asking, or with --yes as suggested."""

    options: Mapping[str, Any]
    yes: bool

    def ask(
        self, option: str, question: str, suggested: str | None, choices: Sequence[str] = ()
    ) -> str:
        """Answer a question.

        Args:
            option: The option that answers it, if the user set it.
            question: The text of the question.
            suggested: The default; None without one, which is a UserError with --yes.
            choices: The only answers, if they are limited.
        """
        answer = self.options.get(option)
        if answer:
            return str(answer)
        if self.yes and suggested is not None:
            return suggested
        if self.yes:
            raise UserError(f"--yes has nothing to suggest here; give --{option.replace('_', '-')}")
        return prompt(question, suggested, choices)

    def tell(self, lines: Mapping[str, str]) -> None:
        """Explain the choices of the next question, by name."""
        if not self.yes:
            for name, words in lines.items():
                echo(f"  {name:<15} {words}")


def _ask(path: Path, questions: _Questions) -> Starter:
    folder = path.resolve().parent.name if path.name == "recipe.yaml" else path.stem
    name = questions.ask("name", "Name of the recipe", folder or "recipe")
    source = questions.ask("source", "Source rows (a file, a glob, or hf://datasets/...)", None)
    in_source = source_columns(source, Path())
    if in_source and not questions.yes:
        listed = ", ".join(f"{name} ({kind})" for name, kind in in_source.items())
        echo(f"It has: {listed}")
    guess = guess_task(in_source)
    task = questions.ask("task", "What a row is", guess, list(TASKS))
    task_name: TaskName = next(each for each in get_args(TaskName) if each == task)
    columns = _columns(questions, task_name, in_source)
    labels: Sequence[str] = ()
    if task_name == "classification":
        labels = _labels(questions, source, columns, Path())
    methods = methods_for(task_name)
    if not questions.options.get("method"):
        questions.tell({method: METHODS[method] for method in methods})
    method = questions.ask("method", "What to make of it", methods[0], methods)
    if method not in methods:
        raise UserError(f"--method {method} needs options to choose from, and the task is {task}")
    backend, model, base_url = _engine(questions)
    return Starter(
        name=name,
        task=task_name,
        source=path_from(path, source),
        method=next(each for each in methods if each == method),
        model=model,
        backend=backend,
        output=path_from(path, questions.ask("out", "Folder of the dataset", f"out/{name}")),
        columns=columns,
        labels=labels,
        base_url=base_url,
    )


def _columns(
    questions: _Questions, task: TaskName, in_source: Mapping[str, ColumnType]
) -> dict[str, str]:
    """Map the task's columns to those of the source."""
    named = questions.options["columns"]
    if unknown := set(named) - set(TASKS[task].columns):
        known = ", ".join(TASKS[task].columns)
        raise UserError(f"--column {sorted(unknown)[0]}: the columns of {task} are {known}")
    guesses = guess_columns(task, in_source)
    columns = {}
    for column in TASKS[task].columns:
        suggested = guesses.get(column) or suggest(column, in_source)
        if column in named:
            columns[column] = named[column]
        elif column in in_source:
            columns[column] = column
        elif questions.yes and suggested is None:
            raise UserError(
                f"the source has no column that looks like {column!r}; it has "
                f"{', '.join(in_source) or 'no columns that can be told'}; "
                f"give --column {column}=NAME"
            )
        else:
            columns[column] = questions.ask(
                f"column {column}", f"Its column for {column}", suggested, list(in_source)
            )
        if in_source and columns[column] not in in_source:
            hint = did_you_mean(columns[column], in_source)
            raise UserError(f"the source has no column {columns[column]!r}{hint}")
    return columns


def _labels(
    questions: _Questions, source: str, columns: Mapping[str, str], base: Path
) -> Sequence[str]:
    labels: Sequence[str] = questions.options["labels"]
    if labels:
        return labels
    guesses = [] if "://" in source else guess_labels(source, columns["label"], base)
    numbers = guesses and all(label.isdecimal() for label in guesses)
    words = "Names of the classes, in the order of their numbers" if numbers else "The classes"
    answer = questions.ask("label", f"{words}, with commas", ", ".join(guesses) or None)
    return [label.strip() for label in answer.split(",") if label.strip()]


def _engine(questions: _Questions) -> tuple[Backend, str, str]:
    if not questions.options.get("engine"):
        questions.tell(_ENGINES)
    suggested = "vllm" if bundled_problem(BUNDLED) else "bundled"
    engine = questions.ask("engine", "Where the teacher runs", suggested, list(_ENGINES))
    if engine == "bundled":
        return ("vllm" if find_spec("vllm") else "transformers"), BUNDLED, ""
    base_url = ""
    if engine == "openai":
        base_url = questions.ask("base_url", "Address of the server", _SERVER)
    model = questions.ask("model", "Model", _MODELS[engine])
    return next(each for each in get_args(Backend) if each == engine), model, base_url
