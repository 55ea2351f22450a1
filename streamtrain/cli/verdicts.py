"""What the command line does with rationales that are judged: `sheet` and `verdicts`.

Knows the options; the work is in the other modules, imported when it starts.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from raygen.core import echo, echo_json
from streamtrain.errors import InputError


@click.command()
@click.argument("run", type=click.Path(path_type=Path))
@click.option(
    "--data",
    type=click.Path(path_type=Path),
    required=True,
    help="The questions of `eval --rationales`, with the teacher's rationales in a column.",
)
@click.option("--teacher-column", default="rationale", show_default=True, help="That column.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to write to.")
@click.option(
    "--n", "count", type=click.IntRange(1), default=50, show_default=True, help="Questions at most."
)
@click.option("--seed", default=0, show_default=True, help="Draws the questions and the sides.")
def sheet(run: Path, data: Path, teacher_column: str, out: Path, count: int, seed: int) -> None:
    """Write a blind sheet of the rationales of RUN and of its teacher, side by side.

    Give people the page or the CSV, and keep the key: it alone knows which side is whose.
    """
    from streamtrain.rationales import KEY, PAGE, SHEET, make_key, write_sheet

    key = make_key(run, data, teacher_column, count, seed)
    write_sheet(key, out)
    echo(
        f"{len(key.items)} questions\nto fill in: {out / PAGE} or {out / SHEET}\n"
        f"keep:       {out / KEY}"
    )


@click.command()
@click.argument("key", type=click.Path(path_type=Path))
@click.argument("sheets", type=click.Path(path_type=Path), nargs=-1)
@click.option("--judge", help="A model that judges too: a folder, hub id, bundled:NAME, or name.")
@click.option(
    "--backend",
    type=click.Choice(["vllm", "transformers", "openai"]),
    help="What runs the judge (default: vLLM where installed, else transformers).",
)
@click.option("--url", help="The judge's OpenAI-compatible endpoint, as http://host:8000/v1.")
@click.option("--json", "as_json", is_flag=True, help="Answer as JSON.")
def verdicts(key: Path, sheets: tuple[Path, ...], **options: Any) -> None:
    """Count the verdicts of filled-in SHEETS, one for each rater, by the KEY of the sheet.

    All raters, people and a judge, go into one call; what it finds is kept beside the student.
    """
    if not sheets and not options["judge"]:
        raise click.UsageError("give filled-in sheets, or a judge with --judge")
    if (options["backend"] or options["url"]) and not options["judge"]:
        raise click.UsageError("--backend and --url are the judge's; name it with --judge")
    if options["url"] and options["backend"] not in (None, "openai"):
        raise click.UsageError("--url is for the backend openai")
    from streamtrain.evaluation import write_annotations
    from streamtrain.rationales import (
        count_verdicts,
        read_all_annotations,
        read_key,
        result_remarks,
        table,
    )

    sheet_key = read_key(key)
    annotations = read_all_annotations(sheets, [item.item for item in sheet_key.items])
    if options["judge"]:
        from streamtrain.rationales import JudgeModel, judge_sheet

        if options["judge"] in [annotation.rater for annotation in annotations]:
            raise InputError(f"a sheet is named {options['judge']} as the judge is; rename it")
        judge = JudgeModel(options["judge"], options["backend"], options["url"])
        annotations.append(judge_sheet(judge, sheet_key.items))
    counted = count_verdicts(sheet_key, annotations)
    results_path = write_annotations(Path(sheet_key.run), sheet_key.set, counted.to_json())
    if options["as_json"]:
        echo_json(counted.figures())
    else:
        echo(
            "\n".join(
                [table(counted).show("text"), "", *result_remarks(counted), f"kept: {results_path}"]
            )
        )
