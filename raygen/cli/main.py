"""The command line: the group of all commands, and `apply`, which runs a recipe.

Parses, calls, prints and sets the exit code; the work is elsewhere.
"""

# ruff: noqa: E402 - libraries ask where the home is as they are imported

from __future__ import annotations

from raygen.core import CommandLine, use_writable_home
from raygen.views import TerminalConsole

use_writable_home()

from dataclasses import replace
from pathlib import Path
from typing import Any

import click

from raygen.apply import confirm_first_use
from raygen.cli import datasets, recipes, share
from raygen.cli.init import init
from raygen.cli.options import FILE, budget, print_json, recipe_request, reference, yes
from raygen.cli.options import as_json as json_option
from raygen.cli.terminal import Command, TerminalUI, debug_option, programs
from raygen.config import ALL_VARIANTS
from raygen.planning import RunTerms, check_distinct_outputs, prepare_each


@click.group(cls=CommandLine, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="raygen")
def main() -> None:
    """Turn a YAML recipe into a dataset, and train a student on it while it is being written.

    RECIPE is a file, a folder with a recipe.yaml, or a reference to fetch, at a revision or not:
    git+https://host/repository@rev#path, hf://datasets/owner/name/path@rev, https://, s3:// and
    what else fsspec knows.
    """


for _command in (
    init,
    recipes.validate,
    recipes.plan,
    recipes.preview,
    recipes.graph,
    recipes.lock,
    recipes.ops,
    datasets.status,
    datasets.show,
    datasets.diff,
    datasets.report,
    share.card,
    share.push,
    share.pull,
    share.export,
):
    main.add_command(_command)


@main.command(cls=Command)
@reference
@click.option("--out", metavar="DIR", help="The output folder, also s3://, gs://.")
@click.option("--train", type=FILE, metavar="FILE", help="Train this student on it meanwhile.")
@click.option("--fresh", is_flag=True, help="Start over: replace what is there.")
@click.option("--locked", is_flag=True, help="Refuse what isn't as `raygen lock` found it.")
@click.option("--retry", type=click.Choice(["failed"]), help="Run rows that failed once more.")
@click.option(
    "--calls", multiple=True, metavar="DIR", help="Reuse this dataset's recorded calls, too."
)
@budget
@yes
@click.option("--address", metavar="RAY", help="The Ray cluster to run on.")
@json_option
@debug_option
def apply(out: str | None, yes: bool, as_json: bool, **options: Any) -> None:
    """Generate what is left of a recipe's dataset and, with `train:`, train its student."""
    from raygen.apply import ApplyRequest
    from raygen.apply import apply as run
    from raygen.runtime import parse_budget
    from raygen.views import RunSummary, render_summary, to_json

    how = {name: options.pop(name) for name in ("train", "fresh", "address", "locked", "calls")}
    how["retry"] = options.pop("retry") is not None
    how["budget"] = parse_budget(options.pop("limits"))
    reference = recipe_request(**options).moved(out)
    if reference.variant == ALL_VARIANTS:
        terms = RunTerms(how["budget"].limits_words, out, how["train"])
        with TerminalUI(yes) as ui:
            reference = confirm_first_use(reference, terms, ui)
        check_distinct_outputs(prepare_each(reference), out)
    variants = reference.each()
    # Ray deletes a job's working directory when the run leaves the cluster.
    folder, prefix = Path.cwd(), programs()
    summaries: list[RunSummary] = []
    for variant in variants:
        request = ApplyRequest(variant, out, **how)
        with TerminalUI(yes) as ui:
            summaries.append(replace(run(request, ui), programs=prefix))
        if not as_json:
            TerminalConsole().print(render_summary(summaries[-1].relative_to(folder)), crop=False)
        if summaries[-1].exit_code:
            break
    if as_json:
        answers = [to_json(summary) for summary in summaries]
        print_json(answers if len(variants) > 1 else answers[0])
    raise click.exceptions.Exit(summaries[-1].exit_code)
