"""The command report: a dataset, and what was trained on it, as one HTML file.

Parses, calls and writes; what the page shows is the report's.
"""

from __future__ import annotations

from pathlib import Path

import click

from raygen.cli.options import FILE
from raygen.cli.terminal import Command, debug_option
from raygen.core import UserError
from raygen.dataset import Folder, storage_errors

REPORT = "report.html"


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
    from raygen.inspection.report import render_report

    target = Folder.at(folder) if out is None else Folder.at(out.parent)
    if show and target.local is None:
        raise UserError("--open opens files of this machine; name one with --out FILE")
    page = render_report(folder, students)
    name = REPORT if out is None else out.name
    with storage_errors("write the report", target.uri):
        target.write_text(name, page)
    click.echo(f"{target.join(name)}: {len(page.encode()) / 1e6:.1f} MB")
    if show and target.local is not None:
        click.launch((target.local / name).as_uri())
