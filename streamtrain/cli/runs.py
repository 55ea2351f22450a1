"""What the command line does with finished runs: `compare`, `lens`, `export`.

Knows the options; the work is in the other modules, imported when it starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from raygen.core import echo, echo_json
from streamtrain.tables import Form


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
@click.option(
    "--matrix",
    "as_matrix",
    is_flag=True,
    help="Tell what each run is trained on against every set: in and out of its domain.",
)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw it, as .png or .svg.")
def compare(runs: tuple[Path, ...], form: Form, as_matrix: bool, picture: Path | None) -> None:
    """Show the accuracies of RUNS on every set, and between which of them they differ.

    Works on what `fit` and `eval` kept in the folder evaluations/ of each run.
    """
    from streamtrain.analysis import (
        accuracy_table,
        dots_of,
        make_matrix,
        read_domain,
        read_evaluated_runs,
        run_differences,
    )
    from streamtrain.plots import check_picture, dots, heatmap

    if picture is not None:
        check_picture(picture)
    evaluated = read_evaluated_runs(runs)
    if as_matrix:
        matrix = make_matrix(evaluated, [read_domain(run) for run in runs])
        echo(matrix.table().show(form))
        if picture is not None:
            heatmap([matrix.picture()], picture)
        return
    echo(accuracy_table(evaluated).show(form))
    if form == "text" and len(evaluated) > 1:
        echo(f"\n{run_differences(evaluated).show('text')}")
    if picture is not None:
        dots(*dots_of(evaluated), "accuracy, with its 95 % interval", picture)


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
@click.option("--tuned", is_flag=True, help="Read by a tuned lens, which is learned first.")
@click.option(
    "--steps",
    type=click.IntRange(1),
    default=100,
    show_default=True,
    help="Of learning the tuned lens.",
)
@click.option(
    "--texts",
    type=click.Path(path_type=Path),
    help="Questions that the tuned lens learns from (default: the student's dataset); if they are "
    "those of --data, half of them, and the other half is looked at.",
)
@click.option("--positions", is_flag=True, help="One question: every layer at every position.")
@click.option(
    "--question",
    type=click.IntRange(1),
    help="Which one of --data, counted from 1 (default: the first that all answer rightly).",
)
@click.option("--picture", type=click.Path(path_type=Path), help="Draw it, as .png or .svg.")
@click.option("--csv", "as_csv", is_flag=True, help="Each layer, as CSV.")
@click.option("--json", "as_json", is_flag=True, help="Everything, as JSON.")
def lens(runs: tuple[Path, ...], data: Path, **options: Any) -> None:
    """Show after which layer the students of RUNS know the label.

    Looks at the questions in --data that all of them answer rightly.
    """
    if (options["texts"] or _on_command_line("steps")) and not options["tuned"]:
        raise click.UsageError("--steps and --texts belong to --tuned")
    if options["as_csv"] and options["as_json"]:
        raise click.UsageError("give --csv or --json")
    from streamtrain.lens import LensOptions, TuningOptions, apply_lens
    from streamtrain.plots import check_picture

    if options["picture"] is not None:
        check_picture(options["picture"])
    tuning = TuningOptions(options["steps"], options["texts"]) if options["tuned"] else None
    single_question = options["positions"] or options["question"] is not None
    looking = LensOptions(data, options["threshold"], tuning, single_question, options["question"])
    view = apply_lens(runs, looking)
    if options["picture"] is not None:
        view.draw(options["picture"])
    if options["as_json"]:
        echo_json(view.to_json())
    else:
        echo(view.table().show("csv") if options["as_csv"] else view.text())


def _on_command_line(option: str) -> bool:
    source = click.get_current_context().get_parameter_source(option)
    return source is click.core.ParameterSource.COMMANDLINE


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option("--out", type=click.Path(path_type=Path), required=True, help="A new folder.")
@click.option("--merge", is_flag=True, help="Merge the adapter into its model.")
@click.option("--push", "repository", metavar="OWNER/NAME", help="Upload it to the hub, too.")
@click.option("--private", is_flag=True, help="A repository that --push makes is private.")
def export(run: Path, out: Path, merge: bool, repository: str | None, private: bool) -> None:
    """Write the student of RUN to a folder of its own, with a model card."""
    from streamtrain.analysis import (
        check_pushable,
        check_repository,
        export_student,
        push_folder,
    )
    from streamtrain.training import find_student

    if repository is not None and not merge:
        check_pushable(find_student(run)[0])
    if repository is not None:
        check_repository(repository)
    echo(f"student: {export_student(run, out, merge)}")
    if repository is not None:
        echo(f"pushed:  {push_folder(out, repository, private)}")
