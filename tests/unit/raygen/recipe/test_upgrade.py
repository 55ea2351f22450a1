"""Recipes of two versions over each other, and what version 2 says at another place."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.config.document import ProblemsError
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.load import load_recipe
from tests.support.recipes import problems_of

ONE = """\
recipe: one
version: 1
source: {path: q.jsonl}
task: multiple_choice
engines: {teacher: {model: org/m, backend: fake}}
graph:
  cf: {op: map, from: source, set: {original: question, original_answer: answer}}
  voted: {op: self_consistency, from: cf, engine: teacher}
output: {from: voted, path: out}
"""


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text)
    return path


def plan_problems(path: Path) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        prepare(RecipeRequest(path), offline=True)
    return [problem.message for problem in caught.value.problems]


def test_an_old_recipe_is_a_completion_and_stays_as_it_is_written(tmp_path: Path) -> None:
    path = write(tmp_path, "one.yaml", ONE)
    recipe = load_recipe(path)
    assert recipe.engines["teacher"].api == "completion"
    assert "version: 1" in recipe.frozen()
    assert "api" not in recipe.frozen()
    plan = prepare(RecipeRequest(path), offline=True).plan
    assert plan.to_json()["engines"] == {"teacher": {"model": "org/m", "revision": None}}
    assert "api" not in plan.nodes[1].params.model_dump()


def test_a_new_recipe_over_an_old_one_keeps_what_the_old_one_meant(tmp_path: Path) -> None:
    write(tmp_path, "one.yaml", ONE)
    path = write(tmp_path, "two.yaml", "extends: one.yaml\nversion: 2\n")
    recipe = load_recipe(path)
    assert recipe.version == 2
    assert recipe.engines["teacher"].api == "completion"
    new, old = (
        prepare(RecipeRequest(tmp_path / f"{n}.yaml"), offline=True) for n in ("two", "one")
    )
    assert new.plan.hash == old.plan.hash
    assert new.plan.to_json()["engines"]["teacher"]["api"] == "completion"


def test_an_old_recipe_over_a_new_one_is_read_as_new(tmp_path: Path) -> None:
    write(tmp_path, "two.yaml", ONE.replace("version: 1", "version: 2"))
    path = write(tmp_path, "one.yaml", "extends: two.yaml\nversion: 1\nrecipe: mine\n")
    assert load_recipe(path).version == 2


def test_a_chat_of_an_old_recipe_below_a_new_one_is_to_be_rewritten(tmp_path: Path) -> None:
    old = ONE.replace("op: self_consistency,", "op: self_consistency, chat: true,")
    write(tmp_path, "one.yaml", old)
    path = write(tmp_path, "two.yaml", "extends: one.yaml\nversion: 2\n")
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path)
    (problem,) = caught.value.problems
    assert str(problem).startswith(f"{tmp_path / 'one.yaml'}:8:")
    assert "write `version: 2` here, and `api: chat` at the engine" in problem.message


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("chat: true", "`chat` is of version 1; remove it, and write `api: chat` at the engine"),
        ("chat: false", "`chat` is of version 1; remove it, and write `api: completion` at the"),
        ("api: chat", "`api` belongs to the engine; move it there"),
    ],
)
def test_the_engine_says_how_it_is_spoken_to(tmp_path: Path, key: str, message: str) -> None:
    text = ONE.replace("version: 1", "version: 2").replace(
        "engine: teacher}", f"engine: teacher, {key}}}"
    )
    (problem,) = plan_problems(write(tmp_path, "two.yaml", text))
    assert problem.startswith(message)


def test_an_api_needs_version_2(tmp_path: Path) -> None:
    path = write(tmp_path, "one.yaml", ONE.replace("backend: fake", "backend: fake, api: chat"))
    (problem,) = problems_of(path)
    assert "engine 'teacher' has `api`, which needs version: 2" in problem


def test_a_chat_has_its_own_defaults_and_its_own_hash(tmp_path: Path) -> None:
    text = ONE.replace("version: 1", "version: 2")
    completion = prepare(RecipeRequest(write(tmp_path, "a.yaml", text)), offline=True).plan
    chatting = text.replace("backend: fake", "backend: fake, api: chat")
    chat = prepare(RecipeRequest(write(tmp_path, "b.yaml", chatting)), offline=True).plan
    assert chat.hash != completion.hash
    assert chat.to_json()["engines"]["teacher"]["api"] == "chat"
    params = chat.to_json()["nodes"][1]["params"]
    assert (params["api"], params["stop"], params["max_tokens"]) == ("chat", [], 768)
    node = chat.nodes[1]
    assert node.op.params.read_back(params) == node.params
