"""How many generated cases a costly property takes: a share of what others take."""

from __future__ import annotations

from hypothesis import settings


def fewer_examples(divisor: int) -> settings:
    """Settings for one case in `divisor` of the profile's number, and four at least."""
    return settings(max_examples=max(4, settings.default.max_examples // divisor), deadline=None)
