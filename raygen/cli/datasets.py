"""The commands that look at datasets: status, show, diff, report.

They parse, call, print and ask for verdicts; the work is elsewhere.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import click
from rich.rule import Rule
from rich.text import Text

from raygen.cli.options import FILE, grants, print_json, trust
from raygen.cli.options import as_json as json_option
from raygen.cli.rating import Terminal, rate
from raygen.cli.terminal import Command, debug_option
from raygen.core import Task, UserError, echo, plural
from raygen.dataset import DATASET, Folder, check_replaceable, check_writable, storage_errors
from raygen.inspection.browse import (
    Catalogue,
    ItemFilter,
    Items,
    check_rater,
    draw_sample,
    precision,
    read_verdicts,
    write_verdicts,
)
from raygen.views import TerminalConsole, item_view, precision_view

REPORT = "report.html"


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@json_option
@debug_option
def status(folder: str, as_json: bool) -> None:
    """Show what has become of every source row of a dataset."""
    from raygen.dataset import Dataset
    from raygen.views import status_view

    dataset_status = Dataset.open(folder).status()
    if as_json:
        print_json(dataset_status.to_json())
    else:
        TerminalConsole().print(status_view(folder, dataset_status))


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
@click.option(
    "--sample",
    "size",
    type=click.IntRange(1),
    metavar="N",
    help="Ask for a verdict on N rows: kept ones, and ones that each node dropped.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Which N.")
@click.option("--rater", default="me", show_default=True, help="Whose verdicts they are.")
@click.option("--verdicts", is_flag=True, help="How right the filters are by all verdicts.")
@trust
@json_option
@debug_option
def show(
    folder: str,
    size: int | None,
    verdicts: bool,
    full: bool,
    trusted: tuple[Path, ...],
    as_json: bool,
    **options: Any,
) -> None:
    """Look at a dataset's examples, or with --rejected at what was dropped, one by one.

    At a terminal in a pager (PAGER, or less); otherwise one after the other. With --sample a person
    says of each row whether to keep, fix or drop it, without being told what became of it; the
    answers are kept in the dataset's folder, and say how right each filter is.
    """
    catalogue = Catalogue(folder, trusted)
    seed, rater, most = (options.pop(name) for name in ("seed", "rater", "most"))
    rejected = options.pop("rejected") or options["reason"] is not None
    criteria = ItemFilter(rejected, **options)
    if size is None and not verdicts:
        _show(catalogue, criteria, most, full=full, as_json=as_json)
        return
    if criteria != ItemFilter() or most is not None:
        raise UserError("--sample and --verdicts are of all rows; leave out what chooses some")
    if size is not None:
        check_rater(rater)
        _ask(catalogue, size, seed, rater, full)
    _report(catalogue, as_json)


def _show(
    catalogue: Catalogue, criteria: ItemFilter, most: int | None, *, full: bool, as_json: bool
) -> None:
    items = catalogue.items(catalogue.find(criteria).refs[:most])
    if as_json:
        print_json([items[number].to_json() for number in range(len(items))])
        return
    if not items:
        raise UserError(_no_items(catalogue, criteria), 1)
    if criteria.rejected and catalogue.unknown:
        echo(f"which rows were dropped isn't known: {catalogue.unknown}", err=True)
    task = catalogue.opened.task
    if _at_terminal():
        click.echo_via_pager(_pages(items, task, full))
    else:
        console = TerminalConsole()
        for number in range(len(items)):
            _print_item(console, items, number, task, full)


def _ask(catalogue: Catalogue, size: int, seed: int, rater: str, full: bool) -> None:
    """Ask for the sample's missing verdicts. Raises UserError without a terminal."""
    if catalogue.unknown:
        raise UserError(f"nobody can judge what was dropped: {catalogue.unknown}")
    opened = catalogue.opened
    folder = opened.folder
    check_writable(folder, DATASET, "DIR")
    former = read_verdicts(folder).get(rater, [])
    refs = [*catalogue.examples().refs, *catalogue.rejects().refs]
    drawn = draw_sample(refs, size, seed, lambda ref: ref.kept or catalogue.read([ref])[0].exact)
    save = partial(write_verdicts, folder, rater)
    if {ref.id for ref in drawn} <= {verdict.item for verdict in former}:
        return
    if not _at_terminal():
        raise UserError("--sample asks a person, and nobody sits at a terminal here")
    left = rate(
        catalogue.items(drawn), opened.plan_hash, former, save, Terminal(), (opened.task, full)
    )
    click.clear()
    if left:
        echo(f"{plural(left, 'row')} left; the same command goes on with them\n", err=True)


def _report(catalogue: Catalogue, as_json: bool) -> None:
    opened = catalogue.opened
    folder = opened.folder
    refs = [*catalogue.examples().refs, *catalogue.rejects().refs]
    nodes = [node["name"] for node in opened.plan["nodes"]]
    figures = precision(opened.plan_hash, nodes, refs, read_verdicts(folder))
    if as_json:
        print_json(figures.to_json())
    elif not figures.raters:
        raise UserError(f"{folder.uri} has no verdicts; --sample 50 asks for some", 1)
    else:
        TerminalConsole().print(precision_view(figures))


def _pages(items: Items, task: Task, full: bool) -> Iterator[str]:
    """Render each item under its number, reading items as the pages are consumed."""
    console = TerminalConsole()
    for number in range(len(items)):
        with console.capture() as page:
            _print_item(console, items, number, task, full)
        yield page.get()


def _print_item(
    console: TerminalConsole, items: Items, number: int, task: Task, full: bool
) -> None:
    title = f"{number + 1} of {len(items)}"
    console.print(Rule(Text(title), align="left", style="dim"))
    console.print(item_view(items[number], task, full))


def _at_terminal() -> bool:
    return sys.stdin.isatty() and sys.stdout.isatty()


def _no_items(catalogue: Catalogue, criteria: ItemFilter) -> str:
    noun = "reject" if criteria.rejected else "example"
    if criteria.find is not None or criteria.view is not None:
        return f"no {noun} matches"
    other = "" if criteria.rejected else "; --rejected shows what was dropped"
    return f"{catalogue.opened.folder.uri} has no {noun}s{other}"


@click.command(cls=Command)
@click.argument("a", metavar="A")
@click.argument("b", metavar="B")
@trust
@grants
@click.option("--full", is_flag=True, help="Long texts in full, and all examples of a row.")
@json_option
@debug_option
def diff(
    a: str, b: str, trusted: tuple[Path, ...], full: bool, as_json: bool, **granted: Any
) -> None:
    """Compare two recipes, two datasets, or a recipe with the one that a dataset was made by."""
    from raygen.inspection.diff import RecipeDiff, compare_named
    from raygen.recipe.remote import Permissions
    from raygen.views import dataset_diff_view, recipe_diff_view

    may = Permissions(granted["allowed"], granted["as_me"], code=granted["allow_code"])
    difference = compare_named(a, b, trusted, may)
    if as_json:
        print_json(difference.to_json())
    elif isinstance(difference, RecipeDiff):
        TerminalConsole().print(recipe_diff_view(difference, full))
    else:
        TerminalConsole().print(dataset_diff_view(difference, full))


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@click.option("--out", type=FILE, metavar="FILE", help=f"Where it goes: DIR/{REPORT} if not told.")
@click.option(
    "--student",
    "students",
    type=FILE,
    multiple=True,
    metavar="RUN",
    help="A training run to show, more than once for several; DIR/student if not told.",
)
@click.option("--open", "show", is_flag=True, help="Open it in the browser.")
@debug_option
def report(folder: str, out: Path | None, students: tuple[Path, ...], show: bool) -> None:
    """Write one HTML file that shows a dataset and its students, and opens offline."""
    from raygen.inspection.report import is_report, render_report

    target = Folder.at(folder) if out is None else Folder.at(out.parent)
    if show and target.local is None:
        raise UserError("--open opens files of this machine; name one with --out FILE")
    name = REPORT if out is None else out.name
    if target.local is not None:
        check_replaceable(target.local / name, is_report, "--out FILE")
    page = render_report(folder, students)
    if out is None:
        check_writable(target, DATASET, "--out FILE")
    with storage_errors("write the report", target.uri):
        target.write_text(name, page)
    echo(f"{target.join(name)}: {len(page.encode()) / 1e6:.1f} MB")
    if show and target.local is not None:
        click.launch((target.local / name).as_uri())
