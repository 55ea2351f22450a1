"""Trust on first use: show what a fetched recipe would do, and ask once for each user and pin.

What is shown is found out in a limited process. Knows nothing of terminals but that rich writes to
one.
"""

from __future__ import annotations

from typing import Protocol

from raygen.core import UserError
from raygen.planning import (
    RecipeRequest,
    RunTerms,
    agreed_request,
    disclose,
    look_at_stranger,
    strangers_in,
)
from raygen.recipe.remote import Fetched, cache
from raygen.views import TerminalConsole

QUESTION = "This recipe was fetched and has never run here. Run it?"


class Asker(Protocol):
    """Asks the user; `yes` says that they agreed to every question beforehand."""

    @property
    def yes(self) -> bool: ...

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question and return the answer."""
        ...


def confirm_first_use(request: RecipeRequest, terms: RunTerms, user: Asker) -> RecipeRequest:
    """Show what was fetched and hasn't run here, and ask.

    Returns the request with all that the recipe extends, so that what runs is what was shown.
    Raises UserError without consent, and ProblemsError for a recipe with problems.
    """
    request, has_agreed = agreed_request(request)
    if has_agreed:
        return request
    request, disclosed = look_at_stranger(disclose, request, terms)
    strangers = strangers_in(request)
    from raygen.views import fetched_view

    TerminalConsole(stderr=True).print(fetched_view(disclosed, strangers, terms.cost))
    if user.yes:
        _check_pins(request, strangers)
    if not user.confirm(QUESTION):
        raise UserError("nothing was run", 1)
    for fetched in strangers:
        cache.remember_agreement(fetched)
    return request


def _check_pins(request: RecipeRequest, strangers: list[Fetched]) -> None:
    """See that a yes beforehand is to content that was known beforehand. Raises UserError."""
    moving = [fetched for fetched in strangers if not fetched.is_pinned]
    if not moving:
        return
    first = moving[0]
    if first == request.fetched:
        advice = f"name it as {first.pinned}"
    elif request.fetched is None and first == request.all_fetched[0]:
        advice = f"write {first.pinned} where you extend it"
    else:
        advice = "since a stranger's recipe extends it, only its author can pin it"
    raise UserError(
        f"--yes agrees to a fetched recipe that is pinned, and {first.reference} may be another "
        f"one tomorrow: {advice}, or leave out --yes and answer; nothing was run"
    )
