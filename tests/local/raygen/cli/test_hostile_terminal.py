"""Of rows, names and errors of strangers nothing reaches a terminal that it obeys or hides."""

from __future__ import annotations

from pathlib import Path

import click
import pytest

from tests.support.hostile_texts import HOSTILE, harmful_beside_own
from tests.support.small_datasets import QUIZ, make_dataset, write_recipe
from tests.support.terminals import sent_to_terminal

FORGED = "x\nFORGED 9 9\r\nFORGED 9 9\rFORGED\tFORGED"
ALL = " ".join([*(text for name, text in HOSTILE.items() if name != "half a character"), FORGED])


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = '"' + "".join(f"\\U{ord(character):08x}" for character in ALL) + '"'
    text = QUIZ
    for old, new in {
        '"Snow is cold. So the answer is: (b)"': f'"{name[1:-1]} So the answer is: (b)"',
        "recipe: quiz": f"recipe: {name}",
        "scripted": name,
        "length < 24": "length < 2400",
        "reason: wrong_answer": f"reason: {name}",
    }.items():
        text = text.replace(old, new)
    row = {"question": ALL, "choices": [f"sand {ALL}", "snow"], "answer": "snow", f"no{ALL}": ALL}
    return write_recipe(tmp_path_factory.mktemp("hostile"), text, [row])


@pytest.fixture(scope="module")
def dataset(recipe: Path) -> Path:
    return make_dataset(recipe)


@pytest.mark.parametrize(
    ("words", "exit_code"),
    [
        ("show DATASET --full", 0),
        ("status DATASET", 0),
        ("graph RECIPE", 0),
        ("validate RECIPE --set source.path=ALL", 2),
    ],
)
def test_nothing_of_a_stranger_reaches_a_terminal_as_it_is(
    recipe: Path, dataset: Path, words: str, exit_code: int
) -> None:
    named = {"RECIPE": str(recipe), "DATASET": str(dataset), "ALL": ALL.replace("\0", "")}
    arguments = words.split(" ")
    for name, value in named.items():
        arguments = [word.replace(name, value) for word in arguments]
    shown = sent_to_terminal(arguments, exit_code=exit_code)
    assert harmful_beside_own(shown) == []
    assert "unexpected" not in shown
    lines = [line.rstrip("\r") for line in click.unstyle(shown).split("\n")]
    assert [line for line in lines if line.startswith("FORGED")] == []
