"""The commands of sharing: card, push, pull, export.

They parse, call and print; the work is in `raygen.share`.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from raygen.cli.options import FILE, print_json
from raygen.cli.options import as_json as json_option
from raygen.cli.terminal import Command, debug_option, programs
from raygen.core import UserError, echo, plural
from raygen.share import FORMATS, TRAINERS, Format


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@debug_option
def card(folder: str) -> None:
    """Write a dataset's card anew: README.md in its folder, which apply writes too."""
    from raygen.dataset import Folder
    from raygen.share import write_card

    echo(write_card(Folder.at(folder)))


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@click.argument("reference", metavar="REF")
@click.option("--public", is_flag=True, help="On the hub, let everybody read it.")
@click.option(
    "--source", type=FILE, metavar="FILE", help="Put the file that the recipe read there, too."
)
@json_option
@debug_option
def push(
    folder: str, reference: str, public: bool, source: Path | None, as_json: bool
) -> None:  # fmt: skip
    """Put a dataset where others find it: recipe, card and Parquet files.

    REF is hf://datasets/OWNER/NAME, a folder, or a URL such as s3://BUCKET/NAME.
    """
    from raygen.share import push as run

    def tell(text: str) -> None:
        echo(text, err=True)

    done = run(folder, reference, public=public, tell=tell, source=source)
    if as_json:
        print_json(
            {
                "reference": done.location.reference,
                "address": done.address,
                "public": done.public,
                "examples": done.examples,
                "files": done.files,
                "content": done.content,
                "notes": list(done.notes),
            }
        )
        return
    who = ""
    if done.location.repository is not None:
        who = ", for everybody" if done.public else ", private"
    echo(f"{plural(done.examples, 'example')} of {done.recipe} in {reference}{who}")
    if done.address:
        echo(f"  {done.address}")
    for note in done.notes:
        echo(f"Note: {note}")
    echo("Next:")
    echo(f"  {programs()}raygen pull {shlex.quote(reference)}")
    echo(f"  datasets.load_dataset({done.load})")


@click.command(cls=Command)
@click.argument("reference", metavar="REF")
@click.argument("folder", metavar="[DIR]", type=FILE, required=False)
@json_option
@debug_option
def pull(reference: str, folder: Path | None, as_json: bool) -> None:
    """Bring a dataset that was pushed into a new folder, and check that it is whole."""
    from raygen.share import pull as run

    done = run(reference, folder)
    manifest = done.manifest
    if as_json:
        answer: dict[str, Any] = {"folder": str(done.folder), "examples": manifest.examples}
        print_json({**answer, "content": manifest.content, "plan": manifest.plan})
        return
    where = shlex.quote(str(done.folder))
    echo(f"{plural(manifest.examples, 'example')} of {manifest.recipe} in {done.folder}")
    echo(f"checked: its content is {manifest.content}")
    if done.missing:
        echo(f"Note: to apply its recipe, put {done.missing} beside it, or name the file with")
        echo("      --set source.path=FILE")
    echo("Next:")
    echo(f'  datasets.load_dataset("{done.folder}", split="train")')
    echo(f"  {programs()}raygen export {where} --format chat")
    echo(f"  {programs()}raygen apply {where}/recipe.yaml")


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@click.option(
    "--format",
    "form",
    type=click.Choice(list(FORMATS)),
    required=True,
    help="parquet, jsonl: the examples as they are. hf: a folder for `load_from_disk`. "
    "chat: `messages`. prompt-completion: both as turns. preference: `chosen` and `rejected` of a "
    "question's right and wrong samples. alpaca: instruction, input, output.",
)
@click.option("--system", metavar="TEMPLATE", help="In conversations: the system's turn.")
@click.option("--input", "input_", metavar="TEMPLATE", help="In conversations: the user's turn.")
@click.option("--target", metavar="TEMPLATE", help="In conversations: the assistant's turn.")
@click.option("--like", type=FILE, metavar="FILE", help="Input and target as this student has.")
@click.option(
    "--for",
    "trainer",
    type=click.Choice(TRAINERS),
    default=TRAINERS[0],
    show_default=True,
    help="In conversations: what the trainer reads.",
)
@click.option("--out", type=FILE, metavar="PATH", help="Write it there; chats also as .parquet.")
@click.option("--view", "views", multiple=True, metavar="NAME", help="Only examples of this view.")
@click.option("--deduplicate", is_flag=True, help="Leave out examples that repeat another.")
@click.option(
    "--near",
    type=click.FloatRange(0, 1, min_open=True),
    metavar="SHARE",
    help="With --deduplicate: rationales this similar are repeats too, as in 0.9.",
)
@json_option
@debug_option
def export(
    folder: str, form: Format, out: Path | None, views: tuple[str, ...], as_json: bool,
    **more: Any,
) -> None:  # fmt: skip
    """Write a dataset's examples for other trainers, and for `datasets`.

    DIR is what `apply` wrote, or `pull` brought.
    """
    from raygen.share import ConversationForm, ExportForm, read_examples, training_lines
    from raygen.share import export_examples as run

    near = more["near"]
    if near is not None and not more["deduplicate"]:
        raise UserError("--near says what --deduplicate takes for a repeat; give both")
    wording = ConversationForm(more["system"], more["input_"], more["target"], more["like"])
    what = ExportForm(form, wording, more["trainer"])
    if wording != ConversationForm() and not what.is_conversational:
        raise UserError(
            f"--system, --input, --target and --like word conversations, and --format {form} has "
            "none; expected --format chat, prompt-completion or preference"
        )
    examples = read_examples(folder)
    if views:
        examples = examples.of_views(views)
    before = len(examples.frame)
    if more["deduplicate"]:
        examples = examples.without_repeats(near)
    done = run(examples, what, out)
    repeats = before - len(examples.frame)
    if as_json:
        answer = {"path": str(done.path), "format": form, "examples": done.rows}
        print_json({**answer, "repeats": repeats})
        return
    left_out = f", {plural(repeats, 'repeat')} left out" if more["deduplicate"] else ""
    unit = "pair" if form == "preference" else "example"
    echo(f"{plural(done.rows, unit)} in {done.path}{left_out}")
    echo(f"  {_reading(form, done.path)}")
    if what.is_conversational:
        echo(f"  {training_lines(form, what.trainer, done.path)}")
    alike = examples.alike()
    if form in ("chat", "prompt-completion", "alpaca") and len(alike) > 1:
        echo(
            f"Note: the views {' and '.join(alike)} ask alike and are answered differently; "
            "a trainer should have one of them: --view chooses it"
        )


def _reading(form: Format, target: Path) -> str:
    """Format the call of `datasets` that reads an export."""
    if form == "hf":
        return f'datasets.load_from_disk("{target}")'
    kind = "parquet" if form == "parquet" or target.suffix == ".parquet" else "json"
    return f'datasets.load_dataset("{kind}", data_files="{target}", split="train")'
