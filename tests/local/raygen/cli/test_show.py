"""`raygen show` at a terminal: its pager, and the questions of a sample."""

from __future__ import annotations

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe
from tests.support.terminals import at_terminal


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(12)))


def test_a_pager_gets_all_items(quiz: Path, tmp_path: Path) -> None:
    paged = tmp_path / "paged"
    at_terminal(["show", str(quiz)], pager=f"tee {paged}")
    text = click.unstyle(paged.read_text("utf-8"))
    assert [f"{n} of 11 ──" in text for n in range(1, 12)] == [True] * 11
    assert text.index("What falls #2?") < text.index("What falls #3?")


@pytest.mark.slow
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
