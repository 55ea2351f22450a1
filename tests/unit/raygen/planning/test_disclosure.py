"""What a recipe would do, as the user is told before a stranger's runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.planning.disclosure import RunTerms, disclose
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.remote.fetch import find_recipe
from tests.support.references import RECIPE, copy_repository, write_recipe

STUDENT = """\
student: small
version: 1
model: org/small
evaluate: {report: data/q.jsonl}
"""
ENGINE = RECIPE[RECIPE.index("{model: scripted") : RECIPE.index("graph:")]


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("raygen.recipe.remote.fetch.fetch_git", copy_repository)
    monkeypatch.setattr("raygen.trainer.process.check_student", lambda *args: [])
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_recipe(tmp_path / "repository")
    return tmp_path / "repository"


def request(repository: Path, **more: object) -> RecipeRequest:
    path, fetched = find_recipe(f"git+file://{repository}")
    return RecipeRequest(path, fetched=fetched, **more)  # type: ignore[arg-type]


def facts(repository: Path, terms: RunTerms, **more: object) -> list[str]:
    (disclosed,) = disclose(request(repository, **more), terms)
    return [f"{kind} {text}" for kind, text in disclosed.facts]


def test_the_student_is_disclosed_with_what_it_reads(repository: Path) -> None:
    (repository / "student.yaml").write_text(STUDENT)
    (repository / "recipe.yaml").write_text(RECIPE + "train: student.yaml\n")
    shown = facts(repository, RunTerms("no limit"))
    student = "reads model of the student: org/small of the Hugging Face hub, as"
    assert f"{student} anybody could" in shown
    assert "reads held-out questions: data/q.jsonl, which came with it" in shown
    assert f"writes the student: {Path.cwd()}/out/shared/student" in shown
    assert f"{student} you" in facts(repository, RunTerms(""), as_me=("hf://org/small",))
    preview = facts(repository, RunTerms("2 rows", trains=False))
    assert not [fact for fact in preview if "student" in fact or "held-out" in fact]


def test_a_student_of_the_users_is_theirs(repository: Path) -> None:
    Path("mine.yaml").write_text(STUDENT)
    shown = facts(repository, RunTerms("no limit", student=Path("mine.yaml")))
    assert "reads model of the student: org/small of the Hugging Face hub, as you" in shown


def test_models_are_disclosed_with_who_asks_for_them(repository: Path) -> None:
    engine = "{model: org/large, backend: transformers}\n"
    (repository / "recipe.yaml").write_text(RECIPE.replace(ENGINE, engine))
    named = "reads model of engine teacher: org/large of the Hugging Face hub, as "
    assert f"{named}anybody could" in facts(repository, RunTerms("", trains=False))
    me = ("hf://org/large",)
    assert f"{named}you" in facts(repository, RunTerms("", trains=False), as_me=me)
    (spec,) = prepare(request(repository)).plan.engines.values()
    assert spec.anonymous
    (own,) = prepare(RecipeRequest(repository / "recipe.yaml")).plan.engines.values()
    assert not own.anonymous


def test_programs_that_a_model_writes_are_disclosed(repository: Path) -> None:
    node = "checked: {op: check, from: rationales, column: rationale, how: code}"
    text = RECIPE.replace("output: {from: rationales", "output: {from: checked")
    text = text.replace("graph:\n", f"graph:\n  {node}\n")
    (repository / "recipe.yaml").write_text(text)
    shown = facts(repository, RunTerms("", trains=False), allow_code=True)
    assert "runs programs that a model writes, in the sandbox (node checked)" in shown
