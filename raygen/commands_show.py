"""The command show: examples and rejects of a dataset, and what people say of a sample of them.

Parses, calls, prints and asks; the work is elsewhere.
"""

from __future__ import annotations

from pathlib import Path

import click
from rich.console import Console
from rich.rule import Rule
from rich.text import Text

from raygen.errors import UserError
from raygen.options import as_json as json_option
from raygen.options import print_json, trust
from raygen.pager import Terminal, at_terminal, page
from raygen.showing.catalogue import Catalogue, Items, Wanted
from raygen.task import Task
from raygen.terminal import Command, debug_option
from raygen.views.item import item_view


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@click.option("--view", metavar="V", help="Only this view.")
@click.option("--node", metavar="N", help="Only of this output, or dropped by this node.")
@click.option("--rejected", is_flag=True, help="What was dropped, and why.")
@click.option("--reason", metavar="R", help="Only what was dropped for this reason.")
@click.option(
    "--find", metavar="TEXT", help="Only what has this text, in small or capital letters."
)
@click.option("-n", "most", type=click.IntRange(1), metavar="N", help="Only the first N.")
@click.option("--full", is_flag=True, help="Long texts in full.")
@trust
@json_option
@debug_option
def show(
    folder: str,
    rejected: bool,
    most: int | None,
    full: bool,
    trusted: tuple[Path, ...],
    as_json: bool,
    **named: str | None,
) -> None:
    """Look at a dataset's examples, or with --rejected at what was dropped, one by one.

    At a terminal one a screen, with keys; otherwise one after the other.
    """
    catalogue = Catalogue(folder, trusted)
    wanted = Wanted(rejected or named["reason"] is not None, **named)
    found = catalogue.find(wanted)
    items = catalogue.items(found.refs[:most])
    if as_json:
        print_json([items[number].to_json() for number in range(len(items))])
        return
    if not items:
        raise UserError(_nothing(catalogue, wanted), 1)
    if wanted.rejected and catalogue.unknown:
        click.echo(f"which rows were dropped isn't known: {catalogue.unknown}", err=True)
    task = catalogue.opened.task
    if at_terminal():
        page(len(items), lambda number: item_view(items[number], task, full), Terminal())
    else:
        _print(items, task, full)


def _print(items: Items, task: Task, full: bool) -> None:
    console = Console()
    for number in range(len(items)):
        title = f"{number + 1} of {len(items)}"
        console.print(Rule(Text(title), align="left", style="dim"))
        console.print(item_view(items[number], task, full))


def _nothing(catalogue: Catalogue, wanted: Wanted) -> str:
    noun = "reject" if wanted.rejected else "example"
    if wanted.find is not None or wanted.view is not None:
        return f"no {noun} matches"
    return f"{catalogue.opened.dataset.folder.uri} has no {noun}s"
