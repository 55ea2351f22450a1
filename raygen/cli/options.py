"""Define the options that commands share: naming and changing a recipe, answers as JSON.

Knows nothing of any one command.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeVar

import click

from raygen.core import echo, echo_json
from raygen.planning import RecipeRequest
from raygen.recipe.remote import find_recipe

FILE = click.Path(path_type=Path)

_Function = TypeVar("_Function", bound=Callable[..., Any])


def pairs(context: click.Context, option: click.Parameter, value: tuple[str, ...]) -> Any:
    """Parse `KEY=VALUE` arguments into a mapping. Raises BadParameter."""
    parts = [text.partition("=") for text in value]
    for key, equals, _ in parts:
        if not key or not equals:
            raise click.BadParameter(f"{key!r}; expected KEY=VALUE, as in --set n=30")
    return {key: text for key, _, text in parts}


budget = click.option(
    "--budget", "limits", multiple=True, callback=pairs, metavar="KIND=N",
    help="Stop cleanly at tokens=N or dollars=N, of all runs of the dataset together, or at "
         "hours=N of this run. Rows in flight are finished, so a little more is used.",
)  # fmt: skip
trust = click.option("--trust", "trusted", type=FILE, multiple=True, metavar="FILE",
                     help="Run this Python file for its ops.")  # fmt: skip
_GRANTS = (
    click.option("--allow-env", "allowed", multiple=True, metavar="NAME",
                 help="Let a fetched recipe use this environment variable as a key."),
    click.option("--as-me", multiple=True, metavar="ADDRESS",
                 help="Let a fetched recipe read this address with your credentials."),
    click.option("--allow-code", is_flag=True,
                 help="Let a fetched recipe run programs that a model wrote, in the sandbox."),
)  # fmt: skip
yes = click.option(
    "--yes", is_flag=True,
    help="Answer every question with yes; a fetched recipe must be pinned for that.",
)  # fmt: skip
as_json = click.option("--json", "as_json", is_flag=True, help="The answer as JSON.")


def grants(function: _Function) -> _Function:
    """Add the options that say what a fetched recipe may use."""
    for decorate in _GRANTS:
        function = decorate(function)
    return function


def reference(function: _Function) -> _Function:
    """Add the argument and options that name a recipe and change it."""
    for decorate in (
        trust,
        click.option("--limit", type=click.IntRange(1), help="Only the first N source rows."),
        click.option("--profile", type=FILE, metavar="FILE", help="Where and how it runs."),
        click.option("--set", "overrides", multiple=True, callback=pairs, metavar="KEY=VALUE",
                     help="A param, or a dotted path into the recipe."),
        click.option("--variant", metavar="NAME",
                     help="One of the recipe's variants; `all` for validate, lock and apply."),
        grants,
        click.argument("reference", metavar="RECIPE"),
    ):  # fmt: skip
        function = decorate(function)
    return function


def recipe_request(
    reference: str,
    overrides: Mapping[str, str],
    profile: Path | None,
    limit: int | None,
    trusted: tuple[Path, ...],
    **more: Any,
) -> RecipeRequest:
    """Make the request for a recipe from the options of `reference`, fetching a remote recipe.

    Args:
        reference: A path, a folder or a reference to fetch.
        overrides: Values by param or dotted path.
        profile: The profile's file.
        limit: The most source rows.
        trusted: Python files whose ops may run.
        more: Other fields of RecipeRequest.
    """
    path, fetched = find_recipe(reference)
    if fetched is not None:
        echo(f"{reference}: {fetched.pin}, in {fetched.root}", err=True)
    return RecipeRequest(path, overrides, profile, limit, trusted, fetched=fetched, **more)


def print_json(answer: Any) -> None:
    """Print an answer as JSON on the standard output."""
    echo_json(answer, indent=2)
