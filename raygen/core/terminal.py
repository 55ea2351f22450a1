"""Write to the terminal, and make texts of data, models and strangers harmless there.

Knows nothing of tables or colours.
"""

from __future__ import annotations

import io
import json
import re
import sys
from collections.abc import Iterable
from typing import Any

import click

_SHAPING = "\u0600-\u08ff\u0900-\u0dff\u1000-\u109f\u1780-\u17ff\u1800-\u18af"
_EMOJI = "\u2600-\u27bf\ufe0f\U0001f000-\U0001faff"
_JOINED = f"[{_SHAPING}{_EMOJI}]"
_CONTROLS = "\x00-\x08\x0b-\x1f\x7f-\x9f"
_INVISIBLE = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b\u200e\u200f\u2028-\u202e"
    "\u2060-\u206f\u3164\ufe00-\ufe0d\ufeff\uffa0\ufff0-\ufffb\ufffe\uffff\ud800-\udfff"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff\U000f0000-\U0010ffff"
)
# Joiners shape Arabic, Indic and other scripts and compose emoji; between other letters they hide.
_LONE_JOINER = rf"(?<!{_JOINED})[\u200c\u200d]|[\u200c\u200d](?!{_JOINED})"
_HARMFUL = re.compile(f"[{_CONTROLS}{_INVISIBLE}]|{_LONE_JOINER}")
_LINE_ENDS = re.compile("\r\n|[\t\n]")
_PICTURES = {9: "␉", 10: "␊", 127: "␡"} | {code: chr(0x2400 + code) for code in range(32)}


def visible(text: str) -> str:
    """Replace what a terminal obeys or hides by a character that shows it, of the same width.

    These are controls, marks that change the direction of text, invisible characters, and halves of
    characters. Line feeds and tabs stay; see `visible_line` for texts that must be one line.
    """
    return _HARMFUL.sub(_picture, text.replace("\r\n", "\n"))


def visible_line(text: str) -> str:
    """Replace what `visible` replaces, and line ends and tabs, too."""
    return _LINE_ENDS.sub(_picture, visible(text))


def indented(message: str) -> str:
    """Make a message harmless, with its further lines indented: none looks like one of its own."""
    return "\n  ".join(map(visible_line, message.replace("\r\n", "\n").split("\n")))


def explained(error: Exception) -> str:
    """Word an error that no command expects: a fault of the system, or one of the program."""
    message = indented(str(error))
    if isinstance(error, OSError):
        where = f"{indented(str(error.filename))}: " if error.filename else ""
        return f"Error: {where}{error.strerror or message}"
    kind = type(error).__name__
    return f"Error: unexpected {kind}: {message}\nRun it again with --debug for the traceback."


def visible_characters(text: str) -> str:
    """Replace as `visible` does, and keep the number of characters."""
    return _HARMFUL.sub(_picture, text)


def _picture(match: re.Match[str]) -> str:
    return _PICTURES.get(ord(match[0]), "\ufffd")


def json_text(value: Any, indent: int | None = None) -> str:
    """Format a value as JSON that is harmless in a terminal, and is the same value when read."""
    text = json.dumps(value, indent=indent, ensure_ascii=False)
    return _HARMFUL.sub(lambda match: json.dumps(match[0])[1:-1].replace("\x7f", r"\u007f"), text)


def echo(text: object = "", *, err: bool = False, end: str = "\n") -> None:
    """Write a text to the standard output, or to the standard error."""
    click.echo(visible(str(text)) + end, err=err, nl=False)


def echo_json(value: Any, indent: int | None = None) -> None:
    """Write a value to the standard output as JSON."""
    click.echo(json_text(value, indent))


def confirm(question: str) -> bool:
    """Ask a yes-or-no question on the standard error. Raises click.Abort."""
    return click.confirm(visible(question), err=True)


def prompt(question: str, suggested: str | None, choices: Iterable[str] = ()) -> str:
    """Ask for a text, one of `choices` if there are any. Raises click.Abort.

    `suggested` is the answer to an empty line.
    """
    known = list(choices)
    shown = visible_line(question)
    if known:
        shown += f" ({', '.join(map(visible_line, known))})"
    if suggested:
        shown += f" [{visible_line(suggested)}]"
    kind = click.Choice(known) if known else None
    # click would show the default and the choices as they are.
    return str(
        click.prompt(shown, default=suggested, type=kind, show_default=False, show_choices=False)
    )


class CommandLine(click.Group):
    """A group of commands whose errors of usage name arguments harmlessly."""

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command that the arguments name, then leave with its exit code.

        Out of standalone mode errors are raised, and the code is returned.
        """
        run: Any = super().main
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            # click's own standalone mode would show what was typed as it is.
            code = run(*args, standalone_mode=False, **extra)
        except click.ClickException as error:
            vars(error)["message"] = indented(error.message)
            shown = io.StringIO()
            error.show(shown)
            echo(shown.getvalue(), err=True, end="")
            code = error.exit_code
        except click.Abort:
            echo("Aborted!", err=True)
            code = 1
        sys.exit(code if isinstance(code, int) else 0)
