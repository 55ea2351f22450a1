"""The command line: `raygen validate | plan | preview | apply | status | ops`.

Parses, calls, prints and sets the exit code; the work is elsewhere.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, TypeVar

import click
from rich.console import Console

from raygen.chatter import output_to
from raygen.errors import UserError
from raygen.ops.registry import all_ops
from raygen.prepare import Prepared, Reference, prepare
from raygen.problem import ProblemsError
from raygen.terminal import Command, TerminalUI, debug_option, debugging, explain, programs
from raygen.training import training_problems
from raygen.wording import did_you_mean

_Function = TypeVar("_Function", bound=Callable[..., Any])
_FILE = click.Path(path_type=Path)


def _pairs(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> Any:
    """`K=V` words as a mapping."""
    pairs = [text.partition("=") for text in value]
    for key, equals, _ in pairs:
        if not key or not equals:
            raise click.BadParameter(f"{key!r}; expected KEY=VALUE, as in --set n=30")
    return {key: text for key, _, text in pairs}


def _reference(function: _Function) -> _Function:
    """The argument and options that name a recipe and how it is changed."""
    for decorate in (
        click.option("--trust", "trusted", type=_FILE, multiple=True, metavar="FILE",
                     help="Run this Python file for its ops."),
        click.option("--limit", type=click.IntRange(1), help="Only the first N source rows."),
        click.option("--profile", type=_FILE, metavar="FILE", help="Where and how it runs."),
        click.option("--set", "overrides", multiple=True, callback=_pairs, metavar="KEY=VALUE",
                     help="A param, or a dotted path into the recipe."),
        click.argument("reference", metavar="RECIPE", type=_FILE),
    ):  # fmt: skip
        function = decorate(function)
    return function


_json = click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raygen")
def main() -> None:
    """Turn a YAML recipe into a dataset, and train a student on it while it is being written."""


@main.command(cls=Command)
@_reference
@_json
@debug_option
def validate(as_json: bool, **options: Any) -> None:
    """Check a recipe, its source, engines and student, without starting anything."""
    try:
        prepared = prepare(_named(**options), training_problems)
    except (ProblemsError, UserError) as error:
        if not as_json:
            raise
        found = error.problems if isinstance(error, ProblemsError) else []
        problems = [
            {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
            for p in found
        ]
        _print_json({"valid": False, "problems": problems or [{"message": str(error)}]})
        raise click.exceptions.Exit(explain(error)[1]) from None
    if as_json:
        _print_json({"valid": True, "problems": []})
    else:
        click.echo(f"{prepared.recipe.path}: valid, {len(prepared.plan.nodes)} nodes")


@main.command(cls=Command)
@_reference
@_json
@debug_option
def plan(as_json: bool, **options: Any) -> None:
    """Show what a recipe would run: nodes, engines, columns, hash."""
    from raygen.views import plan_view

    prepared = _prepare(**options)
    if as_json:
        _print_json(prepared.plan.to_json())
    else:
        Console().print(plan_view(prepared.plan))


@main.command(cls=Command)
@_reference
@click.option("-n", "rows", type=click.IntRange(1), default=3, show_default=True, help="Rows.")
@click.option("--full", is_flag=True, help="Long prompts and completions in full.")
@_json
@debug_option
def preview(rows: int, full: bool, as_json: bool, **options: Any) -> None:
    """Run the first rows in this process and show prompts, completions and what became of them."""
    from raygen.preview import first_rows, render, run_rows, to_json

    prepared = _prepare(**options)
    keyed = first_rows(prepared.recipe, prepared.plan, rows)
    with _quiet_engines(prepared):
        done = asyncio.run(run_rows(prepared.plan, keyed))
    if as_json:
        _print_json(to_json(done))
    else:
        Console().print(render(prepared.plan, done, full))


@main.command(cls=Command)
@_reference
@click.option("--out", metavar="DIR", help="The output folder, also s3://, gs://.")
@click.option("--train", type=_FILE, metavar="FILE", help="Train this student on it meanwhile.")
@click.option("--fresh", is_flag=True, help="Start over: replace what is there.")
@click.option("--yes", is_flag=True, help="Answer every question with yes.")
@click.option("--address", metavar="RAY", help="The Ray cluster to run on.")
@_json
@debug_option
def apply(
    out: str | None,
    train: Path | None,
    fresh: bool,
    yes: bool,
    address: str | None,
    as_json: bool,
    **options: Any,
) -> None:
    """Generate what is left of a recipe's dataset and, with `train:`, train its student."""
    from raygen.apply import ApplyRequest
    from raygen.apply import apply as run
    from raygen.summary import render, to_json

    request = ApplyRequest(_named(**options), out, train, fresh, address)
    with TerminalUI(yes) as ui:
        summary = replace(run(request, ui), programs=programs())
    if as_json:
        _print_json(to_json(summary))
    else:
        Console().print(render(summary.relative_to(Path.cwd())), crop=False)
    raise click.exceptions.Exit(summary.exit_code)


@main.command(cls=Command)
@click.argument("folder", metavar="DIR")
@_json
@debug_option
def status(folder: str, as_json: bool) -> None:
    """Show what has become of every source row of a dataset."""
    from raygen.dataset.reader import Dataset
    from raygen.views import status_view

    found = Dataset.open(folder).status()
    if as_json:
        _print_json(found.to_json())
    else:
        Console().print(status_view(folder, found))


@main.command(cls=Command)
@click.argument("name", required=False)
@click.option("--trust", "trusted", type=_FILE, multiple=True, metavar="FILE",
              help="Run this Python file for its ops.")  # fmt: skip
@_json
@debug_option
def ops(name: str | None, trusted: tuple[Path, ...], as_json: bool) -> None:
    """List the ops, or show one with its parameters."""
    from raygen.views import op_json, op_view, ops_view

    table = all_ops(trusted)
    if name is not None and name not in table:
        raise UserError(f"no op {name!r}{did_you_mean(name, table)}")
    if as_json:
        _print_json(op_json(table[name]) if name else [op_json(op) for op in table.values()])
    else:
        Console().print(op_view(table[name]) if name else ops_view(table.values()))


def _named(
    reference: Path,
    overrides: Mapping[str, str],
    profile: Path | None,
    limit: int | None,
    trusted: tuple[Path, ...],
) -> Reference:
    return Reference(reference, overrides, profile, limit, trusted)


def _prepare(**options: Any) -> Prepared:
    return prepare(_named(**options))


@contextlib.contextmanager
def _quiet_engines(prepared: Prepared) -> Iterator[None]:
    """Sends what a local engine says about itself to a file, and says which."""
    local = [spec for spec in prepared.plan.engines.values() if spec.backend == "vllm"]
    if not local or debugging():
        yield
        return
    with tempfile.NamedTemporaryFile(prefix="raygen-preview-", suffix=".log", delete=False) as file:
        log = Path(file.name)
    click.echo(f"starting {', '.join(spec.model for spec in local)}; log: {log}", err=True)
    with output_to(log):
        yield


def _print_json(answer: Any) -> None:
    click.echo(json.dumps(answer, indent=2, ensure_ascii=False))


if __name__ == "__main__":
    main()
