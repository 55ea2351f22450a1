"""What stands beside a dataset's tables, and when its lock stays."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.dataset.storage import Folder
from raygen.planning.lock_check import make_lock
from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare, source_rows
from raygen.planning.sidecars import drop_lock, write_sidecars
from raygen.recipe.load import load_recipe
from raygen.recipe.lock import STORED, stored_lock
from tests.support.dataset_records import block, committer

RECIPE = """\
recipe: noted
version: 1
source: {path: q.jsonl}
task: free_text
graph:
  noted: {op: map, from: source, set: {note: question}}
output: {from: noted, path: out}
"""


@pytest.fixture
def locked(tmp_path: Path) -> PreparedRecipe:
    (tmp_path / "q.jsonl").write_text(json.dumps({"question": "Why?"}) + "\n")
    path = tmp_path / "recipe.yaml"
    path.write_text(RECIPE)
    prepared = prepare(RecipeRequest(path))
    return replace(prepared, lock=make_lock(prepared, source_rows(prepared)))


@pytest.fixture
def folder(tmp_path: Path, locked: PreparedRecipe) -> Folder:
    """A dataset with a row that was made under the lock."""
    folder = Folder.at(tmp_path / "out")
    add_row(folder, locked, "a")
    write_sidecars(folder, locked, {"rows": 1})
    return folder


def add_row(folder: Folder, prepared: PreparedRecipe, key: str) -> None:
    digest = prepared.lock.digest if prepared.lock else None
    run = committer(folder, plan=prepared.plan.hash, meta={"lock": digest})
    run.commit([block(folder, [key], plan=prepared.plan.hash)])


def test_recipe_plan_and_lock_lie_with_the_tables(folder: Folder, locked: PreparedRecipe) -> None:
    plan = json.loads(folder.read_text("plan.json"))
    assert (plan["hash"], plan["estimate"]) == (locked.plan.hash, {"rows": 1})
    assert folder.local is not None
    assert load_recipe(folder.local / "recipe.yaml").name == "noted"
    assert stored_lock(folder) == locked.lock


def test_a_lock_stays_true_for_rows_that_are_there(folder: Folder, locked: PreparedRecipe) -> None:
    write_sidecars(folder, replace(locked, lock=None), {})
    assert stored_lock(folder) == locked.lock, "nothing was made without it"


def test_a_lock_goes_with_rows_that_are_made_without_it(
    folder: Folder, locked: PreparedRecipe
) -> None:
    unlocked = replace(locked, lock=None)
    drop_lock(folder, locked)
    assert folder.exists(STORED)
    add_row(folder, unlocked, "b")
    write_sidecars(folder, unlocked, {})
    assert not folder.exists(STORED)
    drop_lock(folder, unlocked)


def test_a_lock_that_was_edited_goes(folder: Folder, locked: PreparedRecipe) -> None:
    folder.write_text(STORED, "lock: 1\n")
    write_sidecars(folder, replace(locked, lock=None), {})
    assert not folder.exists(STORED)
