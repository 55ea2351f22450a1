"""Every command on a recipe, rows and answers full of texts that do something to a terminal."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from streamtrain.cli.main import main as streamtrain
from tests.support.hostile_texts import HOSTILE, harmful, harmful_beside_own
from tests.support.small_datasets import QUIZ, make_dataset, write_recipe

_TEXTS = [text for name, text in HOSTILE.items() if name != "half a character"]
_ALL = " ".join(_TEXTS)
_ROWS = [" ".join(_TEXTS[start::5]) for start in range(5)]
_HOSTILE_NAME = "col\x1b[2J\x9b2J\u202e[bold]"


def in_yaml(text: str) -> str:
    return '"' + "".join(f"\\U{ord(character):08x}" for character in text) + '"'


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    answers = [f"{text} So the answer is: (b)" for text in _TEXTS]
    text = QUIZ.replace('"Snow is cold. So the answer is: (b)"', in_yaml(answers[0]))
    text = text.replace('"I do not know."', "\n        - ".join(map(in_yaml, answers[1:])))
    text = text.replace("length < 24", "length < 240")
    text = text.replace("model: scripted", f"model: {in_yaml('m' + _ALL)}")
    text = text.replace("version: 1", f"version: 1\ndescription: {in_yaml(_ALL)}")
    rows = [
        {"question": hostile, "choices": ["sand" + hostile, "snow"], "answer": "snow",
         _HOSTILE_NAME: hostile, "note": f"[red]{hostile}[/red] :smile:"}
        for hostile in _ROWS
    ]  # fmt: skip
    return write_recipe(tmp_path_factory.mktemp("hostile"), text, rows)


@pytest.fixture(scope="module")
def dataset(recipe: Path) -> Path:
    return make_dataset(recipe)


@pytest.mark.parametrize(
    "words",
    [
        "show DATASET --full",
        "show DATASET --rejected",
        "show DATASET --json -n 40",
        "show DATASET --find nothing\x1b[2J",
        "status DATASET",
        "status DATASET --json",
        "plan RECIPE",
        "plan RECIPE --json",
        "preview RECIPE -n 5",
        "preview RECIPE -n 2 --full",
        "graph RECIPE",
        "diff RECIPE DATASET --full",
        "diff RECIPE RECIPE --json",
        "validate RECIPE --set source.path=gone\x1b[2J\u202e.jsonl",
        "validate RECIPE --set graph.right.where=col\x1b[2J",
        "validate gone\x1b]0;owned\x07.yaml",
        "status gone\x9b2J",
        "card DATASET\x1b[2J",
    ],
)  # fmt: skip
def test_no_command_sends_a_text_of_data_to_the_terminal_as_it_is(
    recipe: Path, dataset: Path, words: str
) -> None:
    arguments = [
        word.replace("RECIPE", str(recipe)).replace("DATASET", str(dataset))
        for word in words.split(" ")
    ]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "100"})
    assert result.output
    assert harmful(result.output) == []
    assert "Error: unexpected" not in result.output


def test_colours_are_the_only_sequences_that_reach_a_terminal(dataset: Path) -> None:
    words = ["show", str(dataset), "--full"]
    result = CliRunner().invoke(main, words, env={"FORCE_COLOR": "1"}, color=True)
    assert "\x1b[1;32mkept" in result.output
    assert harmful_beside_own(result.output) == []


def test_markup_in_a_row_is_shown_as_it_stands(dataset: Path) -> None:
    result = CliRunner().invoke(main, ["show", str(dataset), "-n", "1", "--full"])
    assert "[red]" in result.stdout
    assert ":smile:" in result.stdout


def test_files_of_graphs_are_harmless_when_they_are_shown(recipe: Path, tmp_path: Path) -> None:
    for name in ("graph.svg", "graph.mmd"):
        result = CliRunner().invoke(main, ["graph", str(recipe), "--out", str(tmp_path / name)])
        assert result.exit_code == 0, result.output
        assert harmful((tmp_path / name).read_text()) == []


@pytest.mark.parametrize(
    "words", ["fit gone\x9b2J.yaml --check", "fit gone\x1b]0;owned\x07.yaml --check"]
)
def test_errors_of_streamtrain_are_harmless(words: str) -> None:
    result = CliRunner().invoke(streamtrain, words.split(" "))
    assert result.exit_code == 2
    assert harmful(result.output) == []
