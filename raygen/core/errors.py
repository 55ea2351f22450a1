"""Errors that a user can do something about, and problems with their position in a file.

Knows nothing of what went wrong: every module words its own message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from raygen.core.secrets import hide_secrets


def first_line(error: BaseException) -> str:
    """Return the first line of a library's error message, or the error's type if there is none."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class UserError(Exception):
    """An error to show to the user as it is: str() says what, where and what to do.

    `exit_code` is 2 if the user's input is wrong, 3 if too many rows failed, 1 otherwise.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(hide_secrets(message))
        self.exit_code = exit_code


Place = tuple[str | int, ...]
"""Where a value stands in a document: keys of mappings and indices of lists from the root."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A position in a file, counted from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """A mistake in what the user wrote, and its position."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}".replace("\n", "\n  ")


class ProblemsError(Exception):
    """All problems of a file, ordered by position; str() has a line for each.

    Further lines of a problem are indented.
    """

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def problem_after(file: str, before: str, message: str) -> Problem:
    """Make a problem at the character that follows the text `before`."""
    line = before.count("\n") + 1
    return Problem(file, line, len(before) - (before.rfind("\n") + 1) + 1, message)
