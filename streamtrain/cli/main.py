"""The command line: `streamtrain fit` and `eval`; other commands are in `runs` and `verdicts`.

Knows the options and how errors are shown; the work is in the other modules, imported when it
starts, so that `--check` answers without torch or Ray.
"""

# ruff: noqa: E402 - libraries ask where the home is as they are imported

from __future__ import annotations

from raygen.core import CommandLine, echo, echo_json, use_writable_home

use_writable_home()

import sys
from pathlib import Path
from typing import Any, get_args

import click

from raygen.config import Document
from raygen.core import (
    Problem,
    ProblemsError,
    UserError,
    explained,
    hide_secrets,
    hide_secrets_in_logs,
    indented,
)
from streamtrain.cli.runs import compare, export, lens
from streamtrain.cli.verdicts import sheet, verdicts
from streamtrain.config import View, override, parse_config, problem_path, read_document
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.run import (
    RESULT,
    RunOptions,
    RunSpec,
    accuracy_spread,
    describe,
    find_problems,
    make_run_spec,
    read_result,
    refuse_used_output,
    seeded_runs,
)


class _Commands(CommandLine):
    """Shows an error as one message and maps it to the exit code: 2 for user input, 1 otherwise."""

    def invoke(self, ctx: click.Context) -> Any:
        hide_secrets_in_logs()
        try:
            return super().invoke(ctx)
        except (ProblemsError, StreamtrainError, UserError) as error:
            if ctx.params["debug"]:
                raise
            own = isinstance(error, ProblemsError)  # its lines are its problems
            echo(hide_secrets(str(error) if own else indented(str(error))), err=True)
            if isinstance(error, UserError):
                ctx.exit(error.exit_code)
            ctx.exit(2 if isinstance(error, ProblemsError | InputError) else 1)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except Exception as error:
            if ctx.params["debug"]:
                raise
            echo(hide_secrets(explained(error)), err=True)
            ctx.exit(1)


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
@click.version_option(package_name="raygen")
def main(debug: bool) -> None:
    """Train a student on a dataset, also while raygen is still writing it."""


@main.command()
@click.argument("config", type=click.Path(path_type=Path))
@click.option("--data", help="Folder of the dataset, local or remote.")
@click.option("--follow", is_flag=True, help="Wait for the dataset and train while it grows.")
@click.option("--resume", is_flag=True, help="Continue the run in the output folder.")
@click.option("--out", type=click.Path(path_type=Path), help="Output folder of the student.")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key.")
@click.option("--section", metavar="KEY", help="The student stands under this key of CONFIG.")
@click.option(
    "--base",
    type=click.Path(path_type=Path),
    help="Folder that paths in CONFIG are relative to (default: CONFIG's own).",
)
@click.option("--address", envvar="RAY_ADDRESS", help="Ray cluster to join (default: a local one).")
@click.option(
    "--seeds", type=click.IntRange(2), help="Train it so many times, each with another seed."
)
@click.option(
    "--grow",
    "most",
    type=click.IntRange(1),
    metavar="N",
    help="With --follow: once the dataset has ended, go on with up to N workers if that many GPUs "
    "are free.",
)
@click.option("--check", is_flag=True, help="Check the student's file and stop.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def fit(config: Path, **options: Any) -> None:
    """Train the student that CONFIG describes on the dataset in --data."""
    base = options["base"] or config.parent
    if options["check"]:
        _check(config, base, options)
        return
    if not options["data"]:
        raise click.UsageError("--data is missing: the folder of the dataset")
    document = _document(config, options)
    chosen = RunOptions(
        options["data"], options["out"], options["follow"], options["resume"], options["most"] or 0
    )
    job = make_run_spec(document, parse_config(document), base, chosen)
    if options["seeds"]:
        _fit_seeds(job, options)
        return
    refuse_used_output(job)
    result = _run(job, options)
    if options["as_json"]:
        echo_json(result)
    else:
        echo(f"student: {result['checkpoint']}\nresult:  {job.out / RESULT}")


@main.command(name="eval")
@click.argument("checkpoint", type=click.Path(path_type=Path))
@click.option(
    "--data",
    "files",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    help="Questions to answer; several files, as other domains, make a table.",
)
@click.option("--samples", type=click.IntRange(2), help="The majority of so many samples decides.")
@click.option("--temperature", default=0.7, show_default=True, help="Of the samples.")
@click.option("--backend", type=click.Choice(["vllm", "transformers"]), help="What draws samples.")
@click.option(
    "--how",
    type=click.Choice(["scored", "written"]),
    help="Choose by log-probability or by what is written (default: as the student is trained).",
)
@click.option(
    "--view",
    "views",
    type=click.Choice(get_args(View)),
    multiple=True,
    default=("positive",),
    show_default=True,
    help="Ask behind the view's control token; may be repeated.",
)
@click.option(
    "--teacher",
    help="Hold a classifier against this model: a folder, a hub id or bundled:NAME "
    "(default: the answers that the file records of a teacher).",
)
@click.option(
    "--rationales", is_flag=True, help="Also keep what the student writes out (rationales.jsonl)."
)
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON, with every prediction.")
def evaluate(checkpoint: Path, files: tuple[Path, ...], **options: Any) -> None:
    """Measure the accuracy of the student in CHECKPOINT on the questions in --data.

    Figures and every answer are kept in the folder evaluations/ beside the student.
    """
    if options["samples"] and options["how"]:
        raise click.UsageError("--samples reads what is written; leave out --how")
    for file in files:
        if not file.is_file():
            scheme, separator, _ = str(file).partition(":/")
            if separator:  # an address, which may have a password
                raise InputError(
                    f"{scheme}://...: held-out questions are read from files of this machine; "
                    "download it and name the file"
                )
            raise InputError(f"{file}: no such file; expected held-out questions")
    from streamtrain.analysis import EvaluationOptions, evaluate_sets, tables
    from streamtrain.evaluation import Samples

    samples = Samples(options["samples"], options["temperature"]) if options["samples"] else None
    ways = EvaluationOptions(
        views=options["views"],
        how=options["how"],
        samples=samples,
        backend=options["backend"],
        teacher=options["teacher"],
        rationales=options["rationales"],
    )
    done = list(evaluate_sets(checkpoint, files, ways, lambda text: echo(text, err=True)))
    if not options["as_json"]:
        echo("\n\n".join(table.show("text") for table in tables(done)))
    elif len(done) == 1:
        echo_json(done[0].evaluation.to_json())
    else:
        echo_json({each.name: each.evaluation.to_json() for each in done})


for command in (compare, lens, export, sheet, verdicts):
    main.add_command(command)


def _run(job: RunSpec, options: dict[str, Any]) -> dict[str, Any]:
    from streamtrain.training import run_training

    quiet = options["as_json"]
    result = run_training(job, options["address"], (lambda event: None) if quiet else _show)
    samples = job.config.evaluate.samples
    if samples > 1 and job.report is not None:
        # Only now: an engine takes the memory that training has given back.
        from streamtrain.analysis import EvaluationOptions, accuracy_summary, evaluate_sets
        from streamtrain.evaluation import Samples

        done = list(
            evaluate_sets(job.out, [job.report], EvaluationOptions(samples=Samples(samples)))
        )
        if not quiet:
            echo(accuracy_summary(done).show("text"))
        result["vote"] = done[0].evaluation.to_json(predictions=False)
    return result


def _fit_seeds(job: RunSpec, options: dict[str, Any]) -> None:
    results = []
    for run in seeded_runs(job, options["seeds"]):
        if not options["as_json"]:
            echo(f"seed {run.seed}{', done before' if run.done else ''}: {run.job.out}")
        result = read_result(run.job.out) if run.done else _run(run.job, options)
        results.append({"seed": run.seed, **result})
    spread = accuracy_spread(results)
    if options["as_json"]:
        echo_json({"runs": results, "accuracy": spread})
    elif spread is not None:
        echo(
            f"accuracy of {len(results)} seeds: {spread['mean']:.1%} ± {spread['deviation']:.1%} "
            f"(mean and standard deviation); all sets: streamtrain compare {job.out}/seed-*"
        )


def _show(event: dict[str, Any]) -> None:
    line = describe(event)
    if line is not None:
        echo(line)


def _check(config: Path, base: Path, options: dict[str, Any]) -> None:
    """Show all problems of a student's file; exits with code 2 if there are any."""
    problems: list[Problem] = []
    document: Document | None = None
    try:
        document = _document(config, options)
        problems = find_problems(document, parse_config(document), base, options["follow"])
    except ProblemsError as error:
        problems = error.problems
    if options["as_json"]:
        answers = [
            {
                "path": problem_path(document, problem) if document else [],
                "message": problem.message,
            }
            for problem in problems
        ]
        echo_json({"problems": answers})
    elif not problems:
        echo(f"{config}: a valid student")
    for problem in [] if options["as_json"] else problems:
        echo(problem, err=True)
    if problems:
        sys.exit(2)


def _document(config: Path, options: dict[str, Any]) -> Document:
    return override(read_document(config, options["section"]), options["settings"])
