"""Errors become one message and an exit code; questions get answers; engines are kept quiet."""

from __future__ import annotations

import io
import sys

import click
import pytest
from click.testing import CliRunner

from raygen.cli.terminal import Command, TerminalUI, debug_option, explain
from raygen.core.errors import Problem, ProblemsError, UserError
from raygen.dataset.records import DatasetError
from raygen.engines.base import EngineSetupError, EngineUnavailableError
from raygen.ops.registry import OpError
from raygen.runtime.counts import Snapshot


@pytest.mark.parametrize(
    ("error", "message", "code"),
    [
        (UserError("no such recipe"), "Error: no such recipe", 2),
        (UserError("stopped", 1), "Error: stopped", 1),
        (DatasetError("disk full"), "Error: disk full", 1),
        (OpError("x.py: no op"), "Error: x.py: no op", 2),
        (EngineSetupError("no model"), "Error: no model", 2),
        (EngineUnavailableError("gone"), "Error: gone", 1),
        (OSError(28, "No space left", "out/x"), "Error: out/x: No space left", 1),
        (
            ProblemsError([Problem("r.yaml", 3, 1, "b"), Problem("r.yaml", 1, 2, "a")]),
            "r.yaml:1:2: a\nr.yaml:3:1: b\n2 problems; nothing was started",
            2,
        ),
    ],
)
def test_errors_are_worded_for_the_user(error: Exception, message: str, code: int) -> None:
    assert explain(error) == (message, code)


def test_an_unexpected_error_is_a_message_that_points_to_debug() -> None:
    message, code = explain(KeyError("x"))
    assert code == 1
    assert message.startswith("Error: unexpected KeyError: 'x'\n")
    assert "--debug" in message


@pytest.fixture
def broken() -> click.Command:
    @click.command(cls=Command)
    @debug_option
    def command() -> None:
        raise UserError("it is [wrong]", 3)

    return command


def test_an_error_leaves_no_traceback(broken: click.Command) -> None:
    result = CliRunner().invoke(broken, [])
    assert (result.exit_code, result.stderr) == (3, "Error: it is [wrong]\n")
    assert isinstance(result.exception, SystemExit)


def test_with_debug_the_error_itself_leaves(broken: click.Command) -> None:
    assert isinstance(CliRunner().invoke(broken, ["--debug"]).exception, UserError)


def test_yes_answers_every_question() -> None:
    assert TerminalUI(yes=True).confirm("Replace all of them?")


def test_without_a_terminal_a_question_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    with pytest.raises(UserError, match=r"Replace all of them\? .* --yes"):
        TerminalUI(yes=False).confirm("Replace all of them?")


def test_progress_goes_to_the_standard_error(capfd: pytest.CaptureFixture[str]) -> None:
    with TerminalUI(yes=False) as ui:
        ui.note("hello")
        ui.update(Snapshot("starting engines", log="logs/run.log"), None)
    captured = capfd.readouterr()
    assert captured.out == ""
    assert captured.err.splitlines() == [
        "hello",
        "log: logs/run.log",
        "[0 s] starting engines",
    ]
