"""Errors that a user can do something about, and problems with their position in a file.

Knows nothing of what went wrong: every module words its own message.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


def first_line(error: BaseException) -> str:
    """Return the first line of what a library's error says; its type's name where it says
    nothing."""
    return next(iter(str(error).strip().splitlines()), type(error).__name__)


class UserError(Exception):
    """An error to show as it is: str() says what, where and what to do.

    `exit_code` is 2 where the user's input is wrong, 3 where too many rows failed, 1 otherwise.
    """

    def __init__(self, message: str, exit_code: int = 2) -> None:
        super().__init__(message)
        self.exit_code = exit_code


Place = tuple[str | int, ...]
"""Where a value stands in a document: keys of mappings and indices of lists from the root."""


@dataclass(frozen=True, slots=True, order=True)
class Mark:
    """A place in a file, counted from 1."""

    file: str
    line: int
    column: int


@dataclass(frozen=True, slots=True, order=True)
class Problem:
    """One thing that is wrong with what the user wrote, and where."""

    file: str
    line: int
    column: int
    message: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}: {self.message}"


class ProblemsError(Exception):
    """All problems found, in the order of their places; str() is one line for each."""

    def __init__(self, problems: Iterable[Problem]) -> None:
        self.problems = sorted(set(problems))
        super().__init__("\n".join(map(str, self.problems)))


def problem_after(file: str, before: str, message: str) -> Problem:
    """Return a problem with the character that follows `before`."""
    line = before.count("\n") + 1
    return Problem(file, line, len(before) - (before.rfind("\n") + 1) + 1, message)
