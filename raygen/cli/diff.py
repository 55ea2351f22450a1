"""The command that compares two recipes or two datasets.

Parses, calls and prints; the work is elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console

from raygen.cli.options import as_json as json_option
from raygen.cli.options import print_json, trust
from raygen.cli.terminal import Command, debug_option
from raygen.ops import all_ops


@click.command(cls=Command)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@trust
@click.option("--full", is_flag=True, help="Long texts in full, and all examples of a row.")
@json_option
@debug_option
def diff(a: str, b: str, trusted: tuple[Path, ...], full: bool, as_json: bool) -> None:
    """Compare two recipes, two datasets, or a recipe with the one that a dataset was made by."""
    from raygen.inspection.diff import RecipeDiff, compare_named
    from raygen.views import dataset_diff_view, recipe_diff_view

    difference = compare_named(a, b, all_ops(trusted))
    if as_json:
        print_json(difference.to_json())
    elif isinstance(difference, RecipeDiff):
        Console().print(recipe_diff_view(difference, full))
    else:
        Console().print(dataset_diff_view(difference, full))
