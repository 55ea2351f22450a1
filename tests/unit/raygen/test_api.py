"""raygen from Python: the objects, their attributes, and how they show themselves."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

import raygen
from raygen import apply as apply_module
from raygen.api import Applied, LoadedRecipe
from raygen.apply.request import ApplyRequest, ApplyUI
from raygen.core.errors import ProblemsError, UserError
from raygen.dataset.storage import Folder
from raygen.views.summary import RunSummary
from tests.support.dataset_records import block, committer

RECIPE = """
recipe: small
version: 1
params: {n: {type: int, default: 2}}
source: {path: q.jsonl}
task: multiple_choice
engines:
  teacher: {model: scripted, backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}}
graph:
  rationales: {op: sample_rationales, from: source, engine: teacher, n: "${n}"}
output: {from: rationales, path: out}
"""


@pytest.fixture
def recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> LoadedRecipe:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    rows = [
        {"question": f"What <falls> {i}?", "choices": ["sand", "snow"], "answer": "snow"}
        for i in range(4)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return raygen.load(tmp_path, n=3, limit=3)


def test_importing_raygen_imports_next_to_nothing() -> None:
    program = "import sys, raygen; print([m for m in sys.modules if m.startswith('raygen.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "[]"
    with pytest.raises(AttributeError, match="no attribute 'laod'"):
        _ = raygen.laod  # type: ignore[attr-defined]


def test_a_missing_recipe_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such recipe"):
        raygen.load(tmp_path / "none.yaml")


def test_a_recipe_shows_its_graph(recipe: LoadedRecipe) -> None:
    assert "rationales  sample_rationales · teacher" in repr(recipe)
    assert "rationales" in recipe._repr_html_()


def test_params_and_set_change_it(recipe: LoadedRecipe) -> None:
    plan = recipe.plan()
    assert plan.plan.nodes[0].params.model_dump()["n"] == 3
    assert plan.estimate.rows == 3
    other = raygen.load(recipe.reference.path, set={"graph.rationales.temperature": 0.1})
    assert other.plan().plan.nodes[0].params.model_dump()["temperature"] == 0.1


def test_problems_are_an_answer_of_validate_and_an_error_elsewhere(recipe: LoadedRecipe) -> None:
    assert recipe.validate()
    assert repr(recipe.validate()) == "valid"
    wrong = raygen.load(recipe.reference.path, m=3)
    validation = wrong.validate()
    assert not validation
    assert "unknown key 'm'" in validation.problems[0].message
    assert "1 problem in --set m=3" in repr(validation)
    assert "unknown key" in repr(wrong)
    assert "&#x27;m&#x27;" in validation._repr_html_()
    with pytest.raises(ProblemsError):
        wrong.plan()


def test_a_plan_is_text_tables_and_json(recipe: LoadedRecipe) -> None:
    plan = recipe.plan()
    assert "rows in" in repr(plan)
    assert "rows in" in plan._repr_html_()
    assert plan.to_json()["estimate"]["rows"] == 3


async def test_a_preview_runs_where_a_loop_runs_already(recipe: LoadedRecipe) -> None:
    done = recipe.preview(2)
    assert [row.result.status for row in done.rows] == ["kept", "kept"]
    assert len(done.examples) == 6
    assert done.to_json()[0]["status"] == "kept"
    assert "row 1 of 2: kept" in repr(done)
    html = done._repr_html_()
    assert "What &lt;falls&gt; 0?" in html
    assert "<falls>" not in html
    assert recipe.plan().estimate.pace == "preview"


@pytest.fixture
def applied(
    recipe: LoadedRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> dict[str, Any]:
    """Replaces apply by one that writes two rows and records its request. It is a fake."""
    recorded: dict[str, Any] = {}

    def stand_in(request: ApplyRequest, ui: ApplyUI) -> RunSummary:
        recorded["request"] = request
        recorded["agreed"] = ui.confirm("Replace all of them?")
        folder = Folder.at(tmp_path / "out")
        run = committer(folder, source=2)
        run.commit([block(folder, ["a", "b"])])
        run.finish("end")
        return RunSummary(
            "small", "recipe.yaml", "p", folder.uri, "log", "done", 2, 2, 0, 0, 0, 4, 1, 1, 1.0
        )

    monkeypatch.setattr(apply_module, "apply", stand_in)
    return recorded


def test_apply_hands_over_its_options_and_gives_the_rows(
    recipe: LoadedRecipe, applied: dict[str, Any]
) -> None:
    done = recipe.apply(yes=True, out="elsewhere", train="s.yaml", budget={"tokens": 100})
    assert isinstance(done, Applied)
    request = applied["request"]
    assert (request.out, request.train, request.budget.tokens) == ("elsewhere", Path("s.yaml"), 100)
    assert applied["agreed"]
    assert done
    assert done.summary.kept == 2
    assert done.examples().collect().height == 4
    assert "Done" in repr(done)
    assert "kept" in done.status()._repr_html_()
    assert done.status().status.kept == 2


def test_a_question_without_yes_is_an_error(recipe: LoadedRecipe, applied: dict[str, Any]) -> None:
    with pytest.raises(UserError, match=r"apply\(yes=True\) says yes"):
        recipe.apply()
