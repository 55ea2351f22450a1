"""Handle the terminal for all commands: errors as a message and exit code, questions, progress.

Knows nothing of any one command.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
from pathlib import Path
from typing import Any, Self, TextIO

import click

from raygen.core import (
    ProblemsError,
    UserError,
    confirm,
    echo,
    explained,
    hide_secrets,
    hide_secrets_in_logs,
    indented,
    plural,
)
from raygen.engines import EngineError, EngineSetupError
from raygen.ops import OpError
from raygen.runtime import Snapshot
from raygen.trainer import TrainerState
from raygen.views import TerminalConsole, make_progress

_DEBUG = "raygen.debug"


def _keep_debug(context: click.Context, option: click.Parameter, value: bool) -> None:
    context.meta[_DEBUG] = value


debug_option = click.option(
    "--debug",
    is_flag=True,
    expose_value=False,
    is_eager=True,
    callback=_keep_debug,
    help="Show the traceback of an error.",
)


def debugging() -> bool:
    """Tell whether the running command has the option --debug."""
    return bool(click.get_current_context().meta.get(_DEBUG))


class Command(click.Command):
    """A command that turns any error into one message and an exit code."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run the command. With --debug errors propagate, with their tracebacks."""
        hide_secrets_in_logs()
        if debugging():
            return super().invoke(ctx)
        try:
            return super().invoke(ctx)
        except (click.ClickException, click.exceptions.Exit, click.Abort):
            raise
        except KeyboardInterrupt:
            echo("Stopped at once; what was committed before stays.", err=True)
            ctx.exit(128 + signal.SIGINT)
        except Exception as error:  # noqa: BLE001 - the outermost edge: a traceback helps no user
            message, code = explain(error)
            echo(hide_secrets(message), err=True)
            ctx.exit(code)


def explain(error: Exception) -> tuple[str, int]:
    """Word an error for the user, and choose the exit code."""
    if isinstance(error, ProblemsError):
        return f"{error}\n{plural(len(error.problems), 'problem')}; nothing was started", 2
    message = indented(str(error))
    if isinstance(error, UserError):
        return f"Error: {message}", error.exit_code
    if isinstance(error, OpError | EngineSetupError):
        return f"Error: {message}", 2
    if isinstance(error, EngineError):
        return f"Error: {message}", 1
    return explained(error), 1


class TerminalUI:
    """The user's terminal: shows a run's progress and asks questions.

    It writes to the standard error, since the standard output carries the answer only. It writes to
    a duplicate of the descriptor, so that the output of libraries can be redirected meanwhile.
    """

    def __init__(self, yes: bool) -> None:
        self._yes = yes
        self._stack = contextlib.ExitStack()
        self._progress = make_progress(TerminalConsole(file=self._screen()))
        self._started = False

    def _screen(self) -> TextIO:
        if "ipykernel" in sys.modules:
            return sys.stderr  # a notebook's own, which no file descriptor leads to
        return self._stack.enter_context(
            os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    @property
    def yes(self) -> bool:
        """Whether the user agreed to every question beforehand."""
        return self._yes

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question; with `--yes` agree. Raises UserError without a terminal."""
        if self._yes:
            return True
        if not sys.stdin.isatty():
            raise UserError(f"{question} Nobody can answer here; --yes stands for yes")
        return confirm(question)

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """Show the progress; the display starts with the first call."""
        if not self._started:
            self._stack.enter_context(self._progress)
            self._started = True
        self._progress.update(snapshot, trainer)

    def note(self, message: str) -> None:
        """Print a line that stays."""
        self._progress.note(message)


def programs() -> str:
    """Build the prefix of commands to run next: their folder, empty where it is on the PATH."""
    if shutil.which("raygen"):
        return ""
    folder = Path(sys.executable).parent
    current = Path.cwd()
    return f"{folder.relative_to(current) if folder.is_relative_to(current) else folder}/"
