"""A fake of the process with limits that runs its work in this one, which costs no second."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Self

import pytest

from raygen.core.limited import Limits


class LimitedHere:
    """Takes what `LimitedProcess` takes; its work can start no program and fetch nothing either."""

    def __init__(self, subject: str, limits: Limits, environment: Mapping[str, str]) -> None:
        self.subject = subject

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        pass

    def call(self, function: Callable[..., Any], *args: Any) -> Any:
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr("raygen.core.limited.environment._withheld", frozenset())
            return function(*args)


def look_here(patch: pytest.MonkeyPatch) -> None:
    """Look at a stranger's recipe in this process, for a test of something else."""
    patch.setattr("raygen.planning.strangers.LimitedProcess", LimitedHere)
