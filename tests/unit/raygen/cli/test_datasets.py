"""The command show, where nobody sits at a terminal and where somebody does."""

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
from click.testing import CliRunner, Result

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(12)))


def show(*words: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, words)], env={"COLUMNS": "80"})


def at_terminal(words: list[str], *turns: tuple[str, str], pager: str = "cat") -> str:
    """All that a command shows; of each turn, keys are pressed once its text is there."""
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
    """What is shown next, empty at the end; what was pressed before the process listened is lost,
    and pressed again."""
    with suppress(OSError):  # a terminal whose process has ended can't be read or written
        while keys and not select.select([terminal], [], [], 2.0)[0]:
            os.write(terminal, keys.encode())
        return os.read(terminal, 65536).decode()
    return ""


def test_examples_are_printed_one_after_the_other(quiz: Path) -> None:
    result = show(quiz, "-n", 2)
    assert result.exit_code == 0, result.output
    assert "1 of 2 ──" in result.stdout
    assert "kept by right" in result.stdout
    assert "B. snow  (gold)" in result.stdout
    assert "What falls #2?" in result.stdout
    assert "What falls #3?" not in result.stdout


def test_a_reason_alone_asks_for_rejects(quiz: Path) -> None:
    result = show(quiz, "--reason", "long")
    assert "dropped by short: long\nnot (question | length < 24)" in result.stdout
    assert "1 of 2 ──" in result.stdout


def test_json_has_every_column(quiz: Path) -> None:
    kept = json.loads(show(quiz, "--json").stdout)
    assert len(kept) == 11
    assert kept[0]["kept"]
    assert kept[0]["row"]["choices"] == ["sand", "snow"]
    (one,) = json.loads(show(quiz, "--rejected", "-n", 1, "--json").stdout)
    assert (one["node"], one["reason"], one["said"]) == (
        "rationales",
        "no_answer",
        ["I do not know."],
    )
    assert json.loads(show(quiz, "--find", "nowhere", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--find", "nowhere"], "Error: no example matches"),
        (["--view", "negative"], "Error: --view negative: no example has it"),
    ],
)
def test_nothing_to_show_is_said(quiz: Path, words: list[str], said: str) -> None:
    result = show(quiz, *words)
    assert result.exit_code != 0
    assert said in result.stderr


def test_at_a_terminal_a_pager_gets_all_of_them(quiz: Path, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    at_terminal(["show", str(quiz)], pager=f"tee {paged}")
    text = click.unstyle(paged.read_text("utf-8"))
    assert [f"{n} of 11 ──" in text for n in range(1, 12)] == [True] * 11
    assert text.index("What falls #2?") < text.index("What falls #3?")


def test_a_pager_that_is_left_early_is_no_error(quiz: Path) -> None:
    assert "1 of 11" in at_terminal(["show", str(quiz)], pager="head -n 1")


def test_a_person_is_asked_and_the_answers_are_counted(tmp_path: Path) -> None:
    folder = str(make_dataset(write_recipe(tmp_path, QUIZ, questions(12))))
    assert "has no verdicts; --sample 50" in show(folder, "--verdicts").stderr
    assert "nobody sits at a terminal" in show(folder, "--sample", 4).stderr
    words = ["show", folder, "--sample", "4", "--rater", "ann"]
    shown = at_terminal(words, ("1 of 4", "k"), ("2 of 4", "d"), ("3 of 4", "q"))
    assert "2 rows left" in shown
    shown = at_terminal(words, ("3 of 4", "d"), ("4 of 4", "k"))
    assert "ann: 4 items judged" in shown
    report = json.loads(show(folder, "--verdicts", "--json").stdout)
    (ann,) = report["raters"]
    assert [one["judged"] for one in ann["figures"]] == [1, 1, 1, 1]
    assert sum(one["keep"] for one in ann["figures"]) == 2
    assert show(folder, "--sample", 4, "--rater", "ann").exit_code == 0, "all are judged"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--sample", 4, "--node", "right"], "leave out what chooses some"),
        (["--verdicts", "-n", 4], "leave out what chooses some"),
        (["--sample", 4, "--rater", "../me"], "--rater '../me'"),
    ],
)
def test_a_sample_is_of_all_rows(quiz: Path, words: list[object], said: str) -> None:
    result = show(quiz, *words)
    assert result.exit_code == 2
    assert said in result.stderr
