"""The commands of sharing: card, push, pull, export.

Parse, call and print; the work is in `sharing`.
"""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Any

import click

from raygen.figures import plural
from raygen.options import FILE, print_json
from raygen.options import as_json as json_option
from raygen.terminal import Command, debug_option, programs


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@debug_option
def card(folder: str) -> None:
    """Write a dataset's card anew: README.md in its folder, which apply writes too."""
    from raygen.dataset.folder import Folder
    from raygen.sharing.own_card import write_card

    click.echo(write_card(Folder.at(folder)))


@click.command(cls=Command)
@click.argument("folder", metavar="DIR")
@click.argument("reference", metavar="REF")
@click.option("--public", is_flag=True, help="On the hub, let everybody read it.")
@json_option
@debug_option
def push(folder: str, reference: str, public: bool, as_json: bool) -> None:
    """Put a dataset where others find it: recipe, card and Parquet files.

    REF is hf://datasets/OWNER/NAME, a folder, or a URL such as s3://BUCKET/NAME.
    """
    from raygen.sharing.push import push as run

    done = run(folder, reference, public=public, tell=lambda text: click.echo(text, err=True))
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
    click.echo(f"{plural(done.examples, 'example')} of {done.recipe} in {reference}{who}")
    if done.address:
        click.echo(f"  {done.address}")
    for note in done.notes:
        click.echo(f"Note: {note}")
    click.echo("Next:")
    click.echo(f"  {programs()}raygen pull {shlex.quote(reference)}")
    click.echo(f"  datasets.load_dataset({done.load})")


@click.command(cls=Command)
@click.argument("reference", metavar="REF")
@click.argument("folder", metavar="[DIR]", type=FILE, required=False)
@json_option
@debug_option
def pull(reference: str, folder: Path | None, as_json: bool) -> None:
    """Bring a dataset that was pushed into a new folder, and check that it is whole."""
    from raygen.sharing.pull import pull as run

    done = run(reference, folder)
    manifest = done.manifest
    if as_json:
        answer: dict[str, Any] = {"folder": str(done.folder), "examples": manifest.examples}
        print_json({**answer, "content": manifest.content, "plan": manifest.plan})
        return
    where = shlex.quote(str(done.folder))
    click.echo(f"{plural(manifest.examples, 'example')} of {manifest.recipe} in {done.folder}")
    click.echo(f"checked: its content is {manifest.content}")
    if "://" not in done.source:
        click.echo(f"Note: to apply its recipe, put {done.source} beside it, or name the file with")
        click.echo("      --set source.path=FILE")
    click.echo("Next:")
    click.echo(f'  datasets.load_dataset("{done.folder}", split="train")')
    click.echo(f"  {programs()}raygen export {where} --format chat")
    click.echo(f"  {programs()}raygen apply {where}/recipe.yaml")
