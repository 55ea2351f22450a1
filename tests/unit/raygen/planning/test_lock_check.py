"""What a recipe is locked to, and what a lock refuses before anything starts."""

from __future__ import annotations

import json
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.dataset.storage import Folder
from raygen.planning import lock_check as locking
from raygen.planning.lock_check import make_lock, verified_lock
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare, source_rows
from raygen.recipe.lock import Lock
from raygen.sources import TakenRows
from tests.support.dataset_records import block, committer

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
  rationales: {op: sample_rationales, from: source, engine: teacher, n: "${n}"}
  correct: {op: filter, from: rationales, where: predicted == answer, reason: wrong_answer}
output: {from: correct, path: out}
variants: {one: {n: 1}, two: {n: 2}}
"""
OP = """
from raygen.ops.base import Columns, Op, OpParams

class StampParams(OpParams):
    \"\"\"Passes rows on.\"\"\"

async def run(row, params, ctx):
    return [row]

STAMP = Op("stamp_locked", 1, StampParams, run, lambda params, task: Columns())
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    rows = [
        {"question": f"What falls in winter {i}?", "choices": ["sand", "snow"], "answer": "snow"}
        for i in range(4)
    ]
    (tmp_path / "q.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    return path


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "80"})


def locked(recipe: Path, *words: object) -> Any:
    result = run("lock", recipe, *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_lock_lies_in_its_recipes_folder_and_is_the_same_again(recipe: Path) -> None:
    answer = locked(recipe)
    path = recipe.parent / "recipe.lock.yaml"
    assert answer["path"] == str(path)
    assert yaml.safe_load(path.read_text()) == answer["lock"]
    assert answer["lock"]["plan"] == prepare(RecipeRequest(recipe)).plan.hash
    assert answer["lock"]["source"]["rows"] == 4
    assert set(answer["lock"]["nodes"]["rationales"]["prompts"]) == {"prompt"}
    assert answer["lock"]["packages"]["raygen"]
    assert "torch" not in answer["lock"]["packages"], "the fake engine doesn't run on it"
    text = path.read_text()
    assert "no change since" in run("lock", recipe).stdout
    assert path.read_text() == text


def test_a_new_lock_tells_what_changed(recipe: Path) -> None:
    locked(recipe)
    recipe.write_text(RECIPE.replace("Cold.", "Frost."))
    stdout = run("lock", recipe).stdout
    assert "1 change since it was locked before" in stdout
    assert "engines.teacher.content: " in stdout


def test_every_variant_has_a_lock_of_its_own(recipe: Path) -> None:
    answers = locked(recipe, "--variant", "all")
    names = [Path(answer["path"]).name for answer in answers]
    assert names == ["recipe.one.lock.yaml", "recipe.two.lock.yaml"]
    assert answers[0]["lock"]["plan"] != answers[1]["lock"]["plan"]
    assert answers[0]["lock"]["given"] == {"variant": "one"}


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("default: 3", "default: 4", "nodes.rationales.identity: locked"),
        ("Cold.", "Frost.", "engines.teacher.content: locked"),
        ("predicted == answer", "predicted != answer", "nodes.correct.prompts.where: locked"),
        ("output: {from", "output: {rows: 2, from", "stops.rows: locked nothing, found 2"),
    ],
)
def test_an_edited_recipe_is_refused(recipe: Path, old: str, new: str, told: str) -> None:
    locked(recipe)
    recipe.write_text(RECIPE.replace(old, new))
    result = run("apply", recipe, "--locked")
    assert result.exit_code == 2
    assert told in result.stderr
    assert "nothing was started" in result.stderr
    assert not (recipe.parent / "out").exists()


def test_other_rows_and_other_options_are_refused(recipe: Path) -> None:
    locked(recipe)
    assert "source.rows: locked 4, found 2" in run("apply", recipe, "--locked", "--limit", 2).stderr
    source = recipe.parent / "q.jsonl"
    source.write_text(source.read_text().replace("winter 1", "summer 1"))
    result = run("apply", recipe, "--locked", "--set", "n=1")
    assert "source.content: locked" in result.stderr
    assert "options: locked nothing, found --set n=1; leave them out" in result.stderr


def test_another_package_is_refused(recipe: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    locked(recipe)
    monkeypatch.setattr(locking, "version", lambda name: "9.9" if name == "jinja2" else "0.1.0")
    result = run("apply", recipe, "--locked")
    assert "packages.jinja2: locked " in result.stderr
    assert "install jinja2==" in result.stderr


def test_without_a_lock_there_is_nothing_to_hold_to(recipe: Path) -> None:
    result = run("apply", recipe, "--locked")
    assert (result.exit_code, "raygen lock" in result.stderr) == (2, True)
    assert locked(recipe, "--variant", "one")
    assert "recipe.two.lock.yaml" in run("apply", recipe, "--locked", "--variant", "two").stderr


def test_a_trusted_file_is_part_of_the_lock(recipe: Path, tmp_path: Path) -> None:
    file = tmp_path / "raygen_stamp_locked.py"
    file.write_text(OP)
    recipe.write_text(
        RECIPE.replace(
            "op: filter, from: rationales, where: predicted == answer, reason: wrong_answer",
            "op: stamp_locked, from: rationales",
        )
    )
    answer = locked(recipe, "--trust", file)
    assert list(answer["lock"]["files"]) == [file.name]
    file.write_text(OP + "\n# Changed.\n")
    result = run("apply", recipe, "--locked", "--trust", file)
    assert "files.raygen_stamp_locked.py: locked" in result.stderr


def test_the_lock_of_a_dataset_is_not_written_anew(recipe: Path) -> None:
    (recipe.parent / "rows").mkdir()
    (recipe.parent / "plan.json").write_text("{}")
    result = run("lock", recipe.parent)
    assert (result.exit_code, "what it was made with" in result.stderr) == (2, True)
    assert not (recipe.parent / "recipe.lock.yaml").exists()


def lock_of(recipe: Path) -> Lock:
    prepared = prepare(RecipeRequest(recipe))
    return make_lock(prepared, source_rows(prepared))


def held(recipe: Path, folder: Folder, **how: bool) -> tuple[Any, list[str]]:
    told: list[str] = []
    how = {"locked": False, "fresh": False, **how}
    prepared: PreparedRecipe = prepare(RecipeRequest(recipe))
    rows = partial(source_rows, prepared)
    return verified_lock(prepared, folder, rows=rows, **how, tell=told.append), told


def test_a_lock_that_holds_is_carried_without_an_option(recipe: Path, tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / "out")
    assert held(recipe, folder) == (None, [])
    locked(recipe)
    lock, told = held(recipe, folder)
    assert lock == lock_of(recipe)
    assert told == [f"checking {recipe.parent / 'recipe.lock.yaml'}"]
    recipe.write_text(RECIPE.replace("Cold.", "Frost."))
    lock, told = held(recipe, folder)
    assert lock is None
    assert "1 difference" in told[-1]


def test_the_source_is_read_for_a_lock_alone_and_once(recipe: Path, tmp_path: Path) -> None:
    read: list[TakenRows] = []

    def rows() -> TakenRows:
        read.append(source_rows(prepared))
        return read[-1]

    prepared = prepare(RecipeRequest(recipe))
    folder = Folder.at(tmp_path / "out")
    how: Any = {"rows": rows, "locked": False, "fresh": False, "tell": print}
    assert verified_lock(prepared, folder, **how) is None
    assert read == []
    locked(recipe)
    lock = verified_lock(prepared, folder, **how)
    assert lock is not None
    (recipe.parent / "q.jsonl").write_text("")
    (taken,) = read
    assert taken.copied(folder).keys == taken.keys
    assert len(taken.keys) == lock.source.rows


def test_rows_that_were_made_without_the_lock_keep_it_out(recipe: Path, tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / "out")
    locked(recipe)
    lock = lock_of(recipe)
    without = committer(folder, plan=lock.plan)
    without.commit([block(folder, ["a"], plan=lock.plan)])
    assert held(recipe, folder)[0] is None
    with pytest.raises(UserError, match="--fresh makes them again"):
        held(recipe, folder, locked=True)
    assert held(recipe, folder, locked=True, fresh=True)[0] == lock

    under = committer(folder, plan=lock.plan, fresh=True, meta={"lock": lock.digest})
    under.commit([block(folder, ["b"], plan=lock.plan)])
    assert held(recipe, folder, locked=True)[0] == lock, "what was replaced doesn't count"


def test_an_endpoint_is_locked_by_its_name_with_a_note(recipe: Path) -> None:
    recipe.write_text(
        RECIPE.replace("backend: fake, args: {answers: [\"Cold. So the answer is: (b)\"]}",
                       "backend: openai, args: {base_url: \"http://localhost:9/v1\"}")
    )  # fmt: skip
    answer = locked(recipe)
    teacher = answer["lock"]["engines"]["teacher"]
    assert "unresolved" in teacher
    assert teacher["args"] == {"base_url": "http://localhost:9/v1"}
    assert "by its name alone" in " ".join(run("lock", recipe).stdout.split())
    assert held(recipe, Folder.at(recipe.parent / "out"), locked=True)[1][-1].startswith(
        "the lock has the model of engine teacher by its name alone"
    )
