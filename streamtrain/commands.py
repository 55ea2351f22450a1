"""What the command line does with finished runs: `compare`, `lens`, `export`.

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
    help="csv and latex hold the first table alone.",
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


@click.command()
@click.argument("runs", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option("--data", type=click.Path(path_type=Path), required=True, help="Questions to ask.")
@click.option(
    "--threshold",
    type=click.FloatRange(0, 1),
    default=0.6,
    show_default=True,
    help="The probability of the label from which a layer counts as sure.",
)
@click.option(
    "--csv", "as_csv", is_flag=True, help="The mean probability after each layer, as CSV."
)
def lens(runs: tuple[Path, ...], data: Path, threshold: float, as_csv: bool) -> None:
    """Show after which layer the students of RUNS know the label.

    Looks at the questions in --data that all of them answer rightly.
    """
    from streamtrain.lens import by_layer, read_curves, summary

    curves = read_curves(runs, data)
    if as_csv:
        click.echo(by_layer(curves).show("csv"))
    else:
        click.echo(f"{summary(curves, threshold).show('text')}\n\n{by_layer(curves).show('text')}")


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--merge", is_flag=True, help="Merge the adapter into its model.")
@click.option("--push", "repository", metavar="OWNER/NAME", help="Upload it to the hub, too.")
@click.option("--private", is_flag=True, help="A repository that --push makes is private.")
def export(run: Path, out: Path, merge: bool, repository: str | None, private: bool) -> None:
    """Write the student of RUN to a folder of its own, with a model card."""
    from streamtrain.export import export
    from streamtrain.push import check_pushable, push

    click.echo(f"student: {export(run, out, merge)}")
    if repository is not None:
        check_pushable(out)
        click.echo(f"pushed:  {push(out, repository, private)}")
