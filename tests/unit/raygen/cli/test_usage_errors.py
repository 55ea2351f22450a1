"""What a command says about arguments that it doesn't take: harmless, whatever was typed."""

from __future__ import annotations

import pytest
from click import Group
from click.testing import CliRunner

from raygen.cli.main import main
from streamtrain.cli.main import main as streamtrain
from tests.support.hostile_texts import harmful

HARM = "\x1b[2J\u202e\x9b8m"
LINES = [
    (main, [f"status{HARM}"]),
    (main, ["status", "out", f"--{HARM}"]),
    (main, ["status", "out", f"more{HARM}\nError: forged"]),
    (main, ["plan", "r.yaml", "--set", f"{HARM}"]),
    (main, ["plan", "r.yaml", "--limit", f"1{HARM}"]),
    (main, ["export", "out", "--format", f"x{HARM}"]),
    (streamtrain, [f"fit{HARM}"]),
    (streamtrain, ["fit", "s.yaml", "--seeds", f"2{HARM}"]),
    (streamtrain, ["eval", "run", "--data", "q.jsonl", "--how", f"{HARM}\nError: forged"]),
]


@pytest.mark.parametrize(("group", "words"), LINES)
def test_an_error_of_usage_shows_arguments_harmlessly(group: Group, words: list[str]) -> None:
    result = CliRunner().invoke(group, words)
    assert result.exit_code == 2
    assert result.stdout == ""
    assert harmful(result.stderr) == []
    assert "Usage: " in result.stderr
    assert sum(line.startswith("Error: ") for line in result.stderr.splitlines()) == 1


def test_a_command_s_exit_code_is_the_program_s() -> None:
    assert CliRunner().invoke(main, ["--version"]).exit_code == 0
    assert CliRunner().invoke(main, ["status", "--help"]).exit_code == 0
    assert CliRunner().invoke(main, ["status", "nowhere"]).exit_code == 2
