"""`raygen show` at a terminal: its pager, and the questions of a sample."""

from __future__ import annotations

import json
import os
import pty
import select
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(12)))


def at_terminal(words: list[str], *turns: tuple[str, str], pager: str = "cat") -> str:
    """Run a command in a pseudo-terminal; return what it shows.

    Of each turn, the keys are pressed once the text is there.
    """
    terminal, inside = pty.openpty()
    command = [sys.executable, "-m", "raygen.cli", *words]
    process = subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, env={**os.environ, "PAGER": pager}
    )
    os.close(inside)
    shown, keys = "", ""
    for text, then in turns:
        begun = len(shown)
        while text not in shown[begun:]:
            more = read(terminal, keys)
            assert more, f"ended without {text!r}: {shown}"
            shown += more
        keys = then
        os.write(terminal, keys.encode())
    while more := read(terminal, keys):
        shown += more
    os.close(terminal)
    assert process.wait() == 0
    return click.unstyle(shown)


def read(terminal: int, keys: str) -> str:
    """Read what is shown next, empty at the end; keys pressed before the process listens are lost,
    and are pressed again."""
    with suppress(OSError):  # a terminal whose process has ended can't be read or written
        while keys and not select.select([terminal], [], [], 2.0)[0]:
            os.write(terminal, keys.encode())
        return os.read(terminal, 65536).decode()
    return ""


def test_a_pager_gets_all_items(quiz: Path, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    at_terminal(["show", str(quiz)], pager=f"tee {paged}")
    text = click.unstyle(paged.read_text("utf-8"))
    assert [f"{n} of 11 ──" in text for n in range(1, 12)] == [True] * 11
    assert text.index("What falls #2?") < text.index("What falls #3?")


def test_a_pager_that_is_left_early_is_no_error(quiz: Path) -> None:
    assert "1 of 11" in at_terminal(["show", str(quiz)], pager="head -n 1")


def test_a_rater_who_quits_goes_on_later(quiz: Path) -> None:
    words = ["show", str(quiz), "--sample", "4", "--rater", "ann"]
    shown = at_terminal(words, ("1 of 4", "k"), ("2 of 4", "d"), ("3 of 4", "q"))
    assert "2 rows left" in shown
    shown = at_terminal(words, ("3 of 4", "d"), ("4 of 4", "k"))
    assert "ann: 4 items judged" in shown
    report = CliRunner().invoke(main, ["show", str(quiz), "--verdicts", "--json"])
    (ann,) = json.loads(report.stdout)["raters"]
    assert [figure["judged"] for figure in ann["figures"]] == [1, 1, 1, 1]
    assert sum(figure["keep"] for figure in ann["figures"]) == 2
