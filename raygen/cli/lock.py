"""The command that locks a recipe: writes what it is now beside it.

Parses, calls and prints; the work is elsewhere.
"""

from __future__ import annotations

from typing import Any

import click
from rich.console import Console

from raygen.cli.options import as_json as json_option
from raygen.cli.options import print_json, recipe_request, reference
from raygen.cli.terminal import Command, debug_option


@click.command(cls=Command)
@reference
@json_option
@debug_option
def lock(as_json: bool, **options: Any) -> None:
    """Write down which models, rows, prompts and packages a recipe means now, for --locked."""
    from raygen.core import ProblemsError
    from raygen.planning import lock_path, make_lock, prepare_each, source_rows, write_lock
    from raygen.recipe import lock_differences, read_lock
    from raygen.views import lock_view

    answers = []
    for prepared in prepare_each(recipe_request(**options)):
        path = lock_path(prepared)
        with Console(stderr=True).status("reading the source and the models, asking the hub"):
            made = make_lock(prepared, source_rows(prepared))
        try:
            before = read_lock(path)
        except ProblemsError:
            before = None  # written by another version, or spoilt: it is replaced
        write_lock(path, made)
        changes = lock_differences(before, made) if before else []
        answers.append({"path": str(path), "lock": made.to_json()})
        if not as_json:
            Console().print(lock_view(str(path), made, changes, new=before is None))
    if as_json:
        print_json(answers if len(answers) > 1 else answers[0])
