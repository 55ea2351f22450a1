"""What init writes is a recipe that validates, for every task, method and engine."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare

CHOICES = [
    {"stem": f"What falls {i}?", "options": ["sand", "snow"], "answerKey": "B", "topic": "sky"}
    for i in range(3)
]
REVIEWS = [{"review": f"Fine {i}", "sentiment": ["bad", "good"][i % 2]} for i in range(4)]
NUMBERED = [{"text": f"Fine {i}", "label": i % 2} for i in range(4)]
NOTES = [{"question": "Why is it so: #1?"}]


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def write(rows: list[dict[str, Any]], name: str = "rows.jsonl") -> str:
    Path(name).write_text("".join(json.dumps(row) + "\n" for row in rows))
    return name


def init(*words: str, answers: str = "") -> Result:
    return CliRunner().invoke(main, ["init", *words], input=answers)


def written(path: str = "recipe.yaml") -> PreparedRecipe:
    return prepare(RecipeRequest(Path(path)))


@pytest.mark.parametrize(
    ("rows", "task", "columns"),
    [
        (CHOICES, "multiple_choice", {"question": "stem", "choices": "options",
                                      "answer": "answerKey"}),
        (REVIEWS, "classification", {"text": "review", "label": "sentiment"}),
        (NOTES, "free_text", {}),
    ],
)  # fmt: skip
def test_a_source_alone_is_enough(
    rows: list[dict[str, Any]], task: str, columns: dict[str, str]
) -> None:
    result = init("--source", write(rows), "--yes")
    assert result.exit_code == 0, result.output
    assert result.stderr == ""
    recipe = written().recipe
    assert recipe.task.name == task
    assert recipe.source.columns == columns
    assert recipe.task.labels == (("bad", "good") if task == "classification" else ())


@pytest.mark.parametrize("method", ["rationales", "counterfactual", "cod", "generate"])
@pytest.mark.parametrize("rows", [CHOICES, REVIEWS], ids=["choices", "reviews"])
def test_every_method_makes_a_valid_recipe(rows: list[dict[str, Any]], method: str) -> None:
    result = init("--source", write(rows), "--method", method, "--yes")
    assert result.exit_code == 0, result.output
    assert "isn't valid" not in result.output
    assert written().plan.outputs


@pytest.mark.parametrize(
    ("words", "backend", "model"),
    [
        (["--engine", "bundled"], "vllm", "bundled:smollm2-135m-instruct"),
        (["--engine", "vllm", "--model", "org/model"], "vllm", "org/model"),
        (["--engine", "transformers", "--model", "org/model"], "transformers", "org/model"),
        (["--engine", "openai", "--base-url", "http://localhost:9/v1"], "openai", "gpt-4o-mini"),
    ],
)
def test_every_engine_makes_a_valid_recipe(words: list[str], backend: str, model: str) -> None:
    result = init("--source", write(NOTES), *words, "--yes")
    assert "isn't valid" not in result.output
    spec = written().recipe.engines["teacher"]
    assert (spec.backend, spec.model) == (backend, model)


def test_questions_suggest_what_the_source_has() -> None:
    write(NUMBERED)
    answers = "moods\nrows.jsonl\n\nbad, good\n\n\nelsewhere\n"
    result = init("new/moods.yaml", answers=answers)
    assert result.exit_code == 0, result.output
    assert "It has: text (string), label (integer)" in result.stdout
    assert "Names of the classes, in the order of their numbers" in result.stdout
    prepared = written("new/moods.yaml")
    assert prepared.recipe.name == "moods"
    assert prepared.recipe.task.labels == ("bad", "good")
    assert prepared.recipe.source.path == "../rows.jsonl"
    assert prepared.recipe.output.path == "../elsewhere"


def test_a_column_without_a_likely_candidate_is_a_question() -> None:
    write([{"zzz": "What?", "options": ["a", "b"], "gold": 0}])
    words = ["--source", "rows.jsonl", "--task", "multiple_choice", "--engine", "bundled"]
    result = init(*words, "--yes")
    assert result.exit_code == 2
    assert "give --column question=NAME" in result.stderr
    result = init(*words, answers="\nno\nzzz\n\n\n\n\n")
    assert result.exit_code == 0, result.output
    assert written().recipe.source.columns["question"] == "zzz"


def test_options_answer_questions() -> None:
    write(CHOICES)
    result = init(
        "--source", "rows.jsonl", "--name", "x: #y", "--task", "classification",
        "--column", "text=stem", "--column", "label=topic", "--label", "sky", "--label", "sea",
        "--method", "generate", "--out", "s3://bucket/x", "--yes",
    )  # fmt: skip
    assert result.exit_code == 0, result.output
    recipe = written().recipe
    assert (recipe.name, recipe.output.path) == ("x: #y", "s3://bucket/x")
    assert recipe.task.labels == ("sky", "sea")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--yes"], "give --source"),
        (["--source", "none.jsonl", "--yes"], "none.jsonl"),
        (["--source", "rows.jsonl", "--column", "text=stem", "--yes"], "the columns of"),
        (["--source", "rows.jsonl", "--column", "question=stm", "--yes"], "did you mean 'stem'"),
        (["--source", "rows.jsonl", "--task", "free_text", "--column", "question=stem",
          "--method", "cod", "--yes"], "needs options to choose from"),
    ],
)  # fmt: skip
def test_invalid_answers_are_an_error_and_nothing_is_written(
    words: list[str], message: str
) -> None:
    write(CHOICES)
    result = init(*words)
    assert result.exit_code == 2
    assert message in result.stderr
    assert not Path("recipe.yaml").exists()


def test_an_existing_file_is_not_overwritten() -> None:
    Path("recipe.yaml").write_text("mine")
    result = init("--source", write(NOTES), "--yes")
    assert result.exit_code == 2
    assert "nothing was changed" in result.stderr
    assert Path("recipe.yaml").read_text() == "mine"
