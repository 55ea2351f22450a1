"""Preparing a recipe: what is checked beside the graph."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.core.errors import ProblemsError
from raygen.planning.preparation import RecipeRequest, prepare

RECIPE = """\
recipe: small
version: 1
source: {{path: q.jsonl}}
task: {task}
graph:
  noted: {{op: map, from: source, set: {{note: "'x'"}}}}
output: {{from: noted, path: out, pairs: 3}}
"""


def recipe(folder: Path, task: str) -> Path:
    (folder / "q.jsonl").write_text('{"question": "Why?", "text": "t", "label": "x"}\n')
    path = folder / "r.yaml"
    path.write_text(RECIPE.format(task=task))
    return path


@pytest.mark.parametrize(
    ("task", "missing"),
    [("classification", "name the classes in `labels`"), ("free_text", "has no classes")],
)
def test_pairs_need_classes(tmp_path: Path, task: str, missing: str) -> None:
    with pytest.raises(ProblemsError, match=missing) as caught:
        prepare(RecipeRequest(recipe(tmp_path, task)))
    assert [problem.line for problem in caught.value.problems] == [7]


def test_pairs_with_classes_are_fine(tmp_path: Path) -> None:
    prepared = prepare(RecipeRequest(recipe(tmp_path, "classification\nlabels: [x, y]")))
    assert prepared.recipe.output.pairs == 3
