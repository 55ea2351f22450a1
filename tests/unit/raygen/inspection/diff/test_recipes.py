"""What is told of two recipes, as `raygen diff` on real files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.core.change import Change, changes, flat

RECIPE = """\
recipe: small
version: 1
params:
  n: {type: int, default: 3}
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}
graph:
  rationales:
    op: sample_rationales
    from: source
    engine: teacher
    n: "${n}"
    prompt: |
      Question: {{ question }}
      Think of it.
      Answer:
  correct: {op: filter, from: rationales, where: predicted == answer, reason: wrong_answer}
output: {from: correct, path: out}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    question = {"question": "What falls?", "choices": ["sand", "snow"], "answer": "snow"}
    (tmp_path / "q.jsonl").write_text(json.dumps(question) + "\n")
    (tmp_path / "a.yaml").write_text(RECIPE)
    return tmp_path


def run(*words: object) -> Result:
    result = CliRunner().invoke(main, ["diff", *map(str, words)], env={"COLUMNS": "80"})
    assert max(map(len, result.stdout.splitlines() or [""])) <= 80 or "--json" in words
    return result


def diff(folder: Path, *replaced: tuple[str, str]) -> dict[str, Any]:
    text = RECIPE
    for old, new in replaced:
        assert old in text
        text = text.replace(old, new)
    (folder / "b.yaml").write_text(text)
    result = run(folder / "a.yaml", folder / "b.yaml", "--json")
    assert result.exit_code == 0, result.output
    answer: dict[str, Any] = json.loads(result.stdout)
    return answer


def test_a_recipe_is_the_same_as_itself(folder: Path) -> None:
    difference = diff(folder, ("recipe: small", "recipe: small  # a comment"))
    assert (difference["same"], difference["sections"], difference["nodes"]) == (True, {}, [])
    assert difference["plans"][0] == difference["plans"][1] != ""
    assert "the recipes are the same" in run(folder / "a.yaml", folder / "b.yaml").stdout


def test_changes_of_sections_are_named_by_key(folder: Path) -> None:
    difference = diff(
        folder, ("path: out", "path: out2, rows: 5"), ("recipe: small", "recipe: large")
    )
    assert difference["sections"] == {
        "recipe": [{"key": "recipe", "before": "small", "after": "large"}],
        "output": [
            {"key": "output.path", "before": "out", "after": "out2"},
            {"key": "output.rows", "before": None, "after": 5},
        ],
    }
    assert difference["plans"][0] == difference["plans"][1], "neither decides what a row becomes"
    assert "one dataset goes on as the other" in " ".join(
        run(folder / "a.yaml", folder / "b.yaml").stdout.split()
    )


def test_a_prompt_is_a_unified_diff_and_what_follows_is_named(folder: Path) -> None:
    difference = diff(folder, ("Think of it.", "Think hard."))
    changed, after = difference["nodes"]
    assert (changed["node"], changed["fate"], changed["parameters"]) == (
        "rationales",
        "changed",
        [],
    )
    (prompt,) = changed["prompts"]
    assert prompt["diff"][1:] == [
        " Question: {{ question }}", "-Think of it.", "+Think hard.", " Answer:"
    ]  # fmt: skip
    assert (after["node"], after["fate"]) == ("correct", "after a change")
    stdout = run(folder / "a.yaml", folder / "b.yaml").stdout
    assert "-Think of it." in stdout
    assert "· correct" in stdout


def test_nodes_come_go_and_change_their_parameters(folder: Path) -> None:
    unique = "  unique: {op: deduplicate, from: rationales, on: [rationale]}\n"
    correct = RECIPE[RECIPE.index("  correct:") : RECIPE.index("output:")]
    difference = diff(
        folder, (correct, unique), ("from: correct", "from: unique"), ("default: 3", "default: 5")
    )
    fates = {node["node"]: node["fate"] for node in difference["nodes"]}
    assert fates == {"correct": "removed", "rationales": "changed", "unique": "added"}
    (rationales,) = [node for node in difference["nodes"] if node["node"] == "rationales"]
    assert rationales["parameters"] == [{"key": "n", "before": 3, "after": 5}]
    assert difference["sections"]["params"][0]["key"] == "params.n.default"
    stdout = run(folder / "a.yaml", folder / "b.yaml").stdout
    assert "- correct  removed" in stdout
    assert "+ unique  added" in stdout


def test_another_model_changes_its_nodes(folder: Path) -> None:
    difference = diff(folder, ("model: scripted", "model: other"))
    assert difference["sections"]["engines"][0]["key"] == "engines.teacher.model"
    assert difference["nodes"][0]["parameters"] == [
        {"key": "model", "before": "scripted", "after": "other"}
    ]


def test_a_recipe_without_its_source_is_compared_but_for_the_plan(folder: Path) -> None:
    difference = diff(folder, ("path: q.jsonl", "path: gone.jsonl"))
    assert difference["plans"][1] is None
    assert "gone.jsonl" in difference["notes"][0]
    assert difference["nodes"] == []
    assert "plan not known" in run(folder / "a.yaml", folder / "b.yaml").stdout


def test_a_file_that_is_no_recipe_is_an_error(folder: Path) -> None:
    result = run(folder / "a.yaml", folder / "absent.yaml")
    assert (result.exit_code, "absent.yaml" in result.stderr) == (2, True)
    (folder / "b.yaml").write_text(RECIPE.replace("from: rationales", "from: rationale"))
    result = run(folder / "a.yaml", folder / "b.yaml")
    assert (result.exit_code, "b.yaml:" in result.stderr) == (2, True)


def test_nested_data_is_flat_by_dotted_keys() -> None:
    data = {"a": {"b": 1, "c": []}, "d": [1, 2], "e": [{"x": 1}, {"x": 2}], "f": {}}
    assert dict(flat(data)) == {
        "a.b": 1, "a.c": [], "d": [1, 2], "e.0.x": 1, "e.1.x": 2, "f": {}
    }  # fmt: skip
    assert changes({}, {}) == ()
    assert changes({"a": (1, 2)}, {"a": [1, 2]}) == (), "a tuple and a list are the same in YAML"
    assert changes({"a": [1]}, {"b": 2}) == (Change("a", [1], None), Change("b", None, 2))
