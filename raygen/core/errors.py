"""The base of errors that a user can do something about.

Knows nothing of what went wrong: every module words its own message.
"""

from __future__ import annotations


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
