"""The command show without a terminal."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.inspection.browse.catalogue import Catalogue
from raygen.inspection.browse.verdicts import Verdict, draw_sample, write_verdicts
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe


@pytest.fixture(scope="module")
def quiz(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(12)))


def show(*words: object) -> Result:
    return CliRunner().invoke(main, ["show", *map(str, words)], env={"COLUMNS": "80"})


def test_examples_are_printed_in_order(quiz: Path) -> None:
    result = show(quiz, "-n", 2)
    assert result.exit_code == 0, result.output
    assert "1 of 2 ──" in result.stdout
    assert "kept by right" in result.stdout
    assert "B. snow  (gold)" in result.stdout
    assert "What falls #2?" in result.stdout
    assert "What falls #3?" not in result.stdout


def test_a_reason_alone_asks_for_rejects(quiz: Path) -> None:
    result = show(quiz, "--reason", "long")
    assert "dropped by short: long\n  not (question | length < 24)" in result.stdout
    assert "1 of 2 ──" in result.stdout


def test_json_has_every_column(quiz: Path) -> None:
    examples = json.loads(show(quiz, "--json").stdout)
    assert len(examples) == 11
    assert examples[0]["kept"]
    assert examples[0]["row"]["choices"] == ["sand", "snow"]
    (reject,) = json.loads(show(quiz, "--rejected", "-n", 1, "--json").stdout)
    assert (reject["node"], reject["reason"], reject["said"]) == (
        "rationales",
        "no_answer",
        ["I do not know."],
    )
    assert json.loads(show(quiz, "--find", "nowhere", "--json").stdout) == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--find", "nowhere"], "Error: no example matches"),
        (["--view", "negative"], "Error: --view negative: no example has it"),
    ],
)
def test_no_match_is_an_error(quiz: Path, words: list[str], message: str) -> None:
    result = show(quiz, *words)
    assert result.exit_code != 0
    assert message in result.stderr


def test_a_sample_needs_a_person_at_a_terminal(quiz: Path) -> None:
    assert "nobody sits at a terminal" in show(quiz, "--sample", 4).stderr


def test_verdicts_are_counted(tmp_path: Path) -> None:
    folder = str(make_dataset(write_recipe(tmp_path, QUIZ, questions(12))))
    assert "has no verdicts; --sample 50" in show(folder, "--verdicts").stderr
    catalogue = Catalogue(folder)
    sample = draw_sample([*catalogue.examples().refs, *catalogue.rejects().refs], 4, seed=0)
    plan = catalogue.opened.plan_hash
    verdicts = {ref.id: Verdict.on(ref, plan, "keep", "") for ref in sample}
    write_verdicts(catalogue.opened.folder, "ann", verdicts)
    assert "ann: 4 items judged" in show(folder, "--verdicts").stdout
    (ann,) = json.loads(show(folder, "--verdicts", "--json").stdout)["raters"]
    assert [figure["judged"] for figure in ann["figures"]] == [1, 1, 1, 1]
    assert show(folder, "--sample", 4, "--rater", "ann").exit_code == 0, "all are judged"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--sample", 4, "--node", "right"], "leave out what chooses some"),
        (["--verdicts", "-n", 4], "leave out what chooses some"),
        (["--sample", 4, "--rater", "../me"], "--rater '../me'"),
    ],
)
def test_a_sample_is_of_all_rows(quiz: Path, words: list[object], message: str) -> None:
    result = show(quiz, *words)
    assert result.exit_code == 2
    assert message in result.stderr
