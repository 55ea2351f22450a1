"""Trust on first use: show a fetched recipe and ask once for each user and pin.

Knows nothing of terminals but that rich writes to one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from raygen.core import UserError
from raygen.recipe import Recipe
from raygen.recipe.remote import cache
from raygen.views import TerminalConsole

QUESTION = "This recipe was fetched and has never run here. Run it?"


def confirm_first_use(
    recipe: Recipe, trusted: Sequence[Path], confirm: Callable[[str], bool]
) -> None:
    """Show what was fetched and hasn't run here, and ask. Raises UserError without consent."""
    unseen = [fetched for fetched in recipe.fetched if not cache.has_agreed(fetched)]
    if not unseen:
        return
    from raygen.views import fetched_view

    TerminalConsole(stderr=True).print(fetched_view(recipe, unseen, trusted))
    if not confirm(QUESTION):
        raise UserError("nothing was run", 1)
    for fetched in unseen:
        cache.remember_agreement(fetched)
