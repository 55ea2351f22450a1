"""The commands of a recipe's author: validate, plan, preview, graph, lock, ops.

They parse, call and print; the work is elsewhere. None of them writes a dataset.
"""

from __future__ import annotations

from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from raygen.apply import confirm_first_use
from raygen.cli.options import (
    FILE,
    print_json,
    recipe_request,
    reference,
    trust,
    yes,
)
from raygen.cli.options import as_json as json_option
from raygen.cli.terminal import Command, TerminalUI, debug_option, debugging, explain
from raygen.config import did_you_mean
from raygen.core import ProblemsError, UserError, echo, plural
from raygen.ops import all_ops
from raygen.planning import (
    PreparedRecipe,
    RunTerms,
    check_recipe,
    look_at,
    plan_recipe,
    prepare,
)
from raygen.views import TerminalConsole


@click.command(cls=Command)
@reference
@click.option(
    "--offline",
    is_flag=True,
    help="Check all but the source, which isn't read or asked for.",
)
@json_option
@debug_option
def validate(as_json: bool, offline: bool, **options: Any) -> None:
    """Check a recipe, its source, engines and student, without starting anything."""
    try:
        checked = look_at(check_recipe, recipe_request(**options), offline)
    except (ProblemsError, UserError) as error:
        if not as_json:
            raise
        issues = error.problems if isinstance(error, ProblemsError) else []
        problems = [
            {"file": p.file, "line": p.line, "column": p.column, "message": p.message}
            for p in issues
        ]
        print_json({"valid": False, "problems": problems or [{"message": str(error)}]})
        raise click.exceptions.Exit(explain(error)[1]) from None
    if as_json:
        hints = [str(hint) for variant in checked for hint in variant.hints]
        fits = [asdict(variant.fit) for variant in checked if variant.fit]
        print_json(
            {
                "valid": True,
                "problems": [],
                "hints": list(dict.fromkeys(hints)),
                "source": fits[0] if len(fits) == 1 else fits or None,
            }
        )
    else:
        for variant in checked:
            name = f" ({variant.variant})" if variant.variant else ""
            echo(f"{variant.path}{name}: valid, {plural(variant.nodes, 'node')}")
            for line in variant.fit.lines() if variant.fit else ("the source wasn't read",):
                echo(f"source{name}: {line}", err=True)
        for hint in dict.fromkeys(hint for variant in checked for hint in variant.hints):
            echo(f"hint: {hint}", err=True)


@click.command(cls=Command)
@reference
@json_option
@debug_option
def plan(as_json: bool, **options: Any) -> None:
    """Show what a recipe would run, what that would cost, and what would come of it."""
    from raygen.planning import estimate_recipe
    from raygen.views import plan_view

    overview = look_at(estimate_recipe, recipe_request(**options))
    if as_json:
        print_json(overview.to_json())
    else:
        TerminalConsole().print(plan_view(overview))


@click.command(cls=Command)
@reference
@click.option("-n", "rows", type=click.IntRange(1), default=3, show_default=True, help="Rows.")
@click.option("--full", is_flag=True, help="Long prompts and completions in full.")
@yes
@json_option
@debug_option
def preview(rows: int, full: bool, as_json: bool, yes: bool, **options: Any) -> None:
    """Run the first rows in this process and show prompts, completions and what became of them."""
    from raygen.runtime import preview as run
    from raygen.views import preview_view

    terms = RunTerms(f"the calls of {plural(rows, 'row')}", trains=False)
    with TerminalUI(yes) as ui:
        checked = prepare(confirm_first_use(recipe_request(**options), terms, ui))
    done = run(checked, rows, None if debugging() else partial(_tell_log, checked))
    for note in done.notes:
        echo(note, err=True)
    if as_json:
        print_json(done.to_json())
    else:
        TerminalConsole().print(preview_view(done, full))


@click.command(cls=Command)
@reference
@click.option("--out", type=FILE, metavar="FILE", help="Write it there: graph.svg or graph.mmd.")
@debug_option
def graph(out: Path | None, **options: Any) -> None:
    """Draw the graph of a recipe: as a tree here, as SVG or Mermaid into a file."""
    from raygen.dataset import Folder, check_replaceable
    from raygen.views import graph_view, is_drawing, mermaid

    plan = look_at(plan_recipe, recipe_request(**options))
    if out is None:
        TerminalConsole().print(graph_view(plan))
        return
    if out.suffix == ".svg":
        from raygen.views import graph_svg

        drawing = graph_svg(plan)
    elif out.suffix in (".mmd", ".mermaid"):
        drawing = mermaid(plan)
    else:
        raise UserError(f"--out {out}: found {out.suffix or 'no suffix'!r}, expected .svg or .mmd")
    check_replaceable(out, lambda text: is_drawing(text, out.suffix), "--out FILE")
    Folder.at(out.parent).write_text(out.name, drawing)
    echo(f"{out}: {plural(len(plan.nodes), 'node')}")


@click.command(cls=Command)
@click.argument("name", required=False)
@trust
@click.option("--prompt", is_flag=True, help="The op's default prompt, to start one's own from.")
@json_option
@debug_option
def ops(name: str | None, trusted: tuple[Path, ...], prompt: bool, as_json: bool) -> None:
    """List the ops, or show one with its parameters, columns and prompt."""
    from raygen.views import op_json, op_view, ops_view, prompts_text

    if prompt and name is None:
        raise UserError("--prompt shows the prompt of one op; name it: raygen ops NAME --prompt")

    table = all_ops(trusted)
    if name is not None and name not in table:
        raise UserError(f"no op {name!r}{did_you_mean(name, table)}")
    if as_json:
        print_json(op_json(table[name]) if name else [op_json(op) for op in table.values()])
    elif name is None:
        TerminalConsole().print(ops_view(table.values()))
    elif prompt:
        echo(prompts_text(table[name]) or f"{name} has no prompt of its own")
    else:
        TerminalConsole().print(op_view(table[name]))


def _tell_log(checked: PreparedRecipe, log: Path) -> None:
    models = ", ".join(s.model for s in checked.plan.engines.values() if s.backend == "vllm")
    echo(f"starting {models}; log: {log}", err=True)


@click.command(cls=Command)
@reference
@json_option
@debug_option
def lock(as_json: bool, **options: Any) -> None:
    """Write down which models, rows, prompts and packages a recipe means now, for --locked."""
    from raygen.core import ProblemsError
    from raygen.planning import lock_recipe, write_lock
    from raygen.recipe import lock_differences, read_lock
    from raygen.views import lock_view

    answers = []
    request = recipe_request(**options)
    with TerminalConsole(stderr=True).status("reading the source and the models, asking the hub"):
        locks = look_at(lock_recipe, request)
    for name, made in locks:
        path = (Path() if request.fetched else request.file.parent) / name.name
        try:
            before = read_lock(path)
        except ProblemsError:
            before = None  # of another version, or damaged: it is replaced
        write_lock(path, made)
        changes = lock_differences(before, made) if before else []
        answers.append({"path": str(path), "lock": made.to_json()})
        if not as_json:
            TerminalConsole().print(lock_view(str(path), made, changes, new=before is None))
    if as_json:
        print_json(answers if len(answers) > 1 else answers[0])
