"""Render a fetched recipe before its first run: its text, and what it will do.

Knows nothing of how it was fetched or of who confirms it.
"""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from rich.console import Group, RenderableType
from rich.syntax import Syntax
from rich.text import Text

from raygen.core import visible_line
from raygen.engines import OpenAIArgs
from raygen.recipe import Recipe
from raygen.recipe.remote import Fetched
from raygen.views.tables import facts_table


def fetched_view(
    recipe: Recipe, unseen: Collection[Fetched], trusted: Sequence[Path]
) -> RenderableType:
    """Render the fetched files that are new here, and what the recipe reads, runs and writes.

    `unseen` are the fetched files that no run here has confirmed, `trusted` the Python files whose
    ops it may run.
    """
    return Group(*_parts(recipe, unseen, trusted))


def _parts(
    recipe: Recipe, unseen: Collection[Fetched], trusted: Sequence[Path]
) -> Iterator[RenderableType]:
    for file, fetched in recipe.files.items():
        if fetched is None or fetched not in unseen:
            continue
        facts = facts_table()
        facts.add_row("from", Text(fetched.reference))
        facts.add_row("pin", Text(fetched.pin))
        facts.add_row("file", Text(file))
        yield facts
        text = _visible(Path(file).read_text("utf-8-sig").rstrip("\n"))
        yield Syntax(text, "yaml", background_color="default", word_wrap=True)
        yield Text()
    facts = facts_table()
    facts.add_row("reads", Text(visible_line(f"{recipe.source.path}{_as_whom(recipe)}")))
    for name, spec in recipe.engines.items():
        url = spec.args.get("base_url")
        backend = f"{spec.backend} at {url}" if url else spec.backend
        facts.add_row("runs", Text(visible_line(f"engine {name}: {spec.model} by {backend}")))
        if spec.backend == "openai":
            key = str(spec.args.get("api_key_env", OpenAIArgs.model_fields["api_key_env"].default))
            base = url or OpenAIArgs.model_fields["base_url"].default
            what = f"with your key {key}" if key in os.environ else "without a key"
            facts.add_row("sends", Text(visible_line(f"its prompts to {base}, {what}")))
    ops = dict.fromkeys(node.op for node in recipe.graph.values())
    facts.add_row("runs", Text(f"ops {', '.join(ops)}"))
    for path in trusted:
        facts.add_row("runs", Text(f"the Python file {path}, which you trust"))
    if recipe.train is not None:
        train = recipe.train
        student = train if isinstance(train, str) else str(train.get("model"))
        facts.add_row("trains", Text(visible_line(student)))
    facts.add_row("writes", Text(visible_line(recipe.output_folder)))
    yield facts


def _as_whom(recipe: Recipe) -> str:
    """Say with whose credentials the source is read, where that is a matter of any."""
    if "://" not in recipe.source.path:
        return ""
    return ", as you" if recipe.source_access is None else ", as anybody could"


def _visible(text: str) -> str:
    """Escape format characters, which could reorder or hide text."""
    return "".join(
        f"\\u{ord(sign):04x}" if unicodedata.category(sign) == "Cf" else sign for sign in text
    )
