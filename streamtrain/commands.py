"""What the command line does with finished runs: `compare`.

Knows the options; the work is in the other modules, imported when it starts.
"""

from __future__ import annotations

from pathlib import Path

import click

from streamtrain.table import Form


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "--format",
    "form",
    type=click.Choice(["text", "csv", "latex"]),
    default="text",
    show_default=True,
    help="csv and latex hold the accuracies alone.",
)
def compare(runs: tuple[Path, ...], form: Form) -> None:
    """Show the accuracies of RUNS on every set, and between which of them they differ.

    Works on what `fit` and `eval` kept in the folder evaluations/ of each run.
    """
    from streamtrain.compare import accuracies, differences, read_runs

    found = read_runs(runs)
    table = accuracies(found)
    click.echo(table.show(form))
    if form == "text" and len(found) > 1:
        click.echo(f"\n{differences(found).show('text')}")
