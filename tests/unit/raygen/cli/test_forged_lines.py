"""Names and values with line ends in them make no line that looks like one of raygen's own."""

from __future__ import annotations

import json
import logging
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.core.secrets import hide_secrets_in_logs
from raygen.runtime.worker_stats import Counters, WorkerStats
from streamtrain.cli.main import main as streamtrain
from tests.support.small_datasets import QUIZ, make_dataset, write_recipe

FORGED = "x\nFORGED 9 9\r\nFORGED 9 9\rFORGED\tFORGED"


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    name = json.dumps(FORGED)
    answer = f'"{name[1:-1]} So the answer is: (b)"'
    changes = {
        '"Snow is cold. So the answer is: (b)"': answer,
        "length < 24": "length < 240",
        "recipe: quiz": f"recipe: {name}",
        "scripted": name,
        "reason: long": f"reason: {name}",
        "reason: wrong_answer": f"reason: {name}",
    }
    text = QUIZ
    for old, new in changes.items():
        text = text.replace(old, new)
    row = {"question": f"Why {FORGED}?", "choices": [f"sand {FORGED}", "snow"], "answer": "snow",
           f"column {FORGED}": FORGED, f"note {FORGED}": [FORGED]}  # fmt: skip
    path = write_recipe(tmp_path_factory.mktemp("forged"), text, [row] * 3)
    path.with_name("other.yaml").write_text(text.replace(f"reason: {name}", "reason: other"))
    return path


@pytest.fixture(scope="module")
def dataset(recipe: Path) -> Path:
    return make_dataset(recipe)


def output(recipe: Path, dataset: Path, words: str) -> list[str]:
    arguments = [
        word.replace("RECIPE", str(recipe))
        .replace("DATASET", str(dataset))
        .replace("OTHER", str(recipe.with_name("other.yaml")))
        for word in words.split(" ")
    ]
    result = CliRunner().invoke(main, arguments, env={"COLUMNS": "120"})
    assert "FORGED" in result.output
    assert "\r" not in result.output
    return result.output.split("\n")


@pytest.mark.parametrize(
    "words",
    ["status DATASET", "plan RECIPE", "graph RECIPE", "lock RECIPE",
     "diff RECIPE OTHER --full"],
)  # fmt: skip
def test_a_table_has_no_line_of_a_name(recipe: Path, dataset: Path, words: str) -> None:
    lines = output(recipe, dataset, words)
    assert [line for line in lines if line.lstrip(" │└├─").startswith("FORGED")] == []
    assert not any("\t" in line for line in lines)


@pytest.mark.parametrize(
    "words", ["show DATASET --full", "show DATASET --rejected", "preview RECIPE"]
)
def test_a_text_of_several_lines_keeps_them_under_its_name(
    recipe: Path, dataset: Path, words: str
) -> None:
    lines = output(recipe, dataset, words)
    forged = [line for line in lines if line.lstrip(" ").startswith("FORGED")]
    assert forged, "a question is shown with its lines"
    assert all(line.startswith("   ") for line in forged)


@pytest.mark.parametrize(
    "words",
    ["status gone\nFORGED", "validate gone\nFORGED.yaml", "show DATASET --view x\nFORGED",
     "validate RECIPE --set x\nFORGED=1", "validate RECIPE --profile x\nFORGED"],
)  # fmt: skip
def test_an_error_is_one_message(recipe: Path, dataset: Path, words: str) -> None:
    lines = output(recipe, dataset, words)
    assert [line for line in lines if line.startswith("FORGED")] == []


def test_an_error_of_streamtrain_is_one_message() -> None:
    result = CliRunner().invoke(streamtrain, ["fit", "gone\nFORGED.yaml", "--check"])
    assert "\n  FORGED" in result.output


def test_what_is_logged_is_one_message_and_does_nothing(caplog: pytest.LogCaptureFixture) -> None:
    before = logging.getLogRecordFactory()
    hide_secrets_in_logs()
    try:
        logging.getLogger("library").warning("of %s", "m\x1b[2J\nFORGED\t\u202e")
    finally:
        logging.setLogRecordFactory(before)
    assert caplog.messages == ["of m␛[2J\n  FORGED␉\ufffd"]


def test_a_label_of_a_counter_is_one_line() -> None:
    class Counter:
        tags: list[dict[str, str]] = []  # noqa: RUF012 - of this test alone

        def inc(self, value: float, tags: dict[str, str]) -> None:
            self.tags.append(tags)

    counters = Counters(lambda *_: Counter(), 'r"\n# TYPE forged')
    counters.update(WorkerStats(paid={"e\nforged 1": (3, 4)}, examples=1))
    assert Counter.tags
    assert not any("\n" in value for tags in Counter.tags for value in tags.values())
