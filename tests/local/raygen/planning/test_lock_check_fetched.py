"""Locks of recipes that are elsewhere, or build on others: where they lie, and what they refuse."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import fsspec
import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.dataset.storage import Folder
from raygen.planning.lock_check import verified_lock
from raygen.planning.preparation import RecipeRequest, prepare, source_rows
from raygen.planning.strangers import agreed_request, strangers_in
from raygen.recipe.lock import Lock
from raygen.recipe.remote import cache
from raygen.recipe.remote.fetch import find_recipe
from tests.support.limited_here import look_here
from tests.support.references import RECIPE, commit, write_recipe

VARIANTS = RECIPE + "variants: {few: {n: 1}}\n"


@pytest.fixture
def base(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Somebody else's recipe in a repository; the test runs in an empty folder beside it."""
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    look_here(monkeypatch)
    write_recipe(tmp_path / "base")
    commit(tmp_path / "base")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "base"


def run(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], env={"COLUMNS": "80"})


def locked(*words: object) -> Any:
    result = run("lock", *words, "--json")
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def agree(reference: str) -> None:
    """Agree to what a recipe was fetched with, as at a terminal."""
    path, fetched = find_recipe(reference)
    request, _ = agreed_request(RecipeRequest(path, fetched=fetched))
    for stranger in strangers_in(request):
        cache.remember_agreement(stranger)


def refused(*words: object) -> str:
    agree(str(words[0]))
    result = run("apply", *words, "--locked", "--yes")
    assert result.exit_code == 2, result.output
    assert "nothing was started" in result.stderr or "--locked, but" in result.stderr
    assert not Path("out").exists()
    return result.stderr


def held(text: str) -> tuple[Lock | None, list[str]]:
    """What `apply` makes of a reference's lock, and what it tells."""
    path, fetched = find_recipe(text)
    prepared = prepare(RecipeRequest(path, fetched=fetched))
    told: list[str] = []
    rows = partial(source_rows, prepared)
    lock = verified_lock(
        prepared, Folder.at("out"), rows=rows, locked=True, fresh=False, tell=told.append
    )
    return lock, told


def edit(file: str, old: str, new: str) -> Callable[[Path], None]:
    def change(base: Path) -> None:
        text = (base / file).read_text()
        assert old in text
        (base / file).write_text(text.replace(old, new))

    return change


CHANGES = [
    (edit("recipe.yaml", "default: 2", "default: 3"), "nodes.rationales.identity: locked"),
    (
        edit("p.j2", "{{ question }}", "Q: {{ question }}"),
        "nodes.rationales.prompts.prompt: locked",
    ),
    (edit("recipe.yaml", "Cold.", "Frost."), "engines.teacher.content: locked"),
    (edit("data/q.jsonl", "What falls?", "What melts?"), "source.content: locked"),
]


@pytest.mark.parametrize(
    ("change", "told", "fetched"),
    [
        pytest.param(*CHANGES[0], True, id="params of a fetched one"),
        pytest.param(*CHANGES[1], False, id="prompt of a local one"),
        pytest.param(*CHANGES[2], False, id="engine of a local one", marks=pytest.mark.slow),
        pytest.param(*CHANGES[3], False, id="rows of a local one", marks=pytest.mark.slow),
        pytest.param(*CHANGES[0], False, id="params of a local one", marks=pytest.mark.slow),
        pytest.param(*CHANGES[1], True, id="prompt of a fetched one", marks=pytest.mark.slow),
        pytest.param(*CHANGES[2], True, id="engine of a fetched one", marks=pytest.mark.slow),
        pytest.param(*CHANGES[3], True, id="rows of a fetched one", marks=pytest.mark.slow),
    ],
)
def test_a_change_of_what_a_recipe_extends_is_refused(
    base: Path, change: Callable[[Path], None], told: str, fetched: bool
) -> None:
    extended = f"git+file://{base}@main" if fetched else "../base"
    Path("mine.yaml").write_text(
        f"extends: {extended}\nrecipe: mine\noutput: {{from: rationales, path: out}}\n"
    )
    was = commit(base)
    lock = locked("mine.yaml")["lock"]
    pinned = f"git+file://{base}@{was}#recipe.yaml"
    assert lock.get("fetched") == ({extended: pinned} if fetched else None)
    assert held("mine.yaml")[0] is not None
    change(base)
    commit(base)
    said = refused("mine.yaml")
    assert told in said
    if "plan: locked" in said:
        todo = f"name {pinned} in its place" if fetched else "or one that it extends, was edited"
        assert todo in " ".join(said.split())


def test_the_lock_of_a_fetched_recipe_lies_here_and_is_found(base: Path, tmp_path: Path) -> None:
    reference = f"git+file://{base}@main"
    assert "there is no shared.lock.yaml" in refused(reference)
    assert locked(reference)["path"] == "shared.lock.yaml"
    assert list((tmp_path / "cache").rglob("*.lock.yaml")) == []
    lock, told = held(reference)
    assert (lock is not None, told[0]) == (True, "checking shared.lock.yaml")

    edit("recipe.yaml", "default: 2", "default: 3")(base)
    commit(base)
    said = refused(reference, "--out", "elsewhere")
    assert "in its place" in said
    assert "--set" not in said
    assert "since it was locked before" in run("lock", reference).stdout
    assert held(reference)[0] is not None


def test_the_lock_that_came_with_a_fetched_recipe_is_held_to(base: Path) -> None:
    (base / "recipe.yaml").write_text(VARIANTS)
    for variant in ((), ("--variant", "few")):
        locked(base, *variant)
    commit(base)
    lock, told = held(f"git+file://{base}@main")
    assert (lock is not None, told[0].endswith("/recipe.lock.yaml")) == (True, True)
    store = fsspec.filesystem("memory")
    for file in [file for file in base.rglob("*") if file.is_file() and ".git" not in file.parts]:
        store.pipe(f"/base/{file.relative_to(base)}", file.read_bytes())
    assert held("memory://base")[0] is not None
    fetched = find_recipe("memory://base")[1]
    store.rm("/base", recursive=True)
    assert fetched is not None
    assert (fetched.root / "recipe.few.lock.yaml").is_file()
    edit("recipe.lock.yaml", "rows: 1", "rows: 2")(base)
    commit(base)
    reference = f"git+file://{base}@main"
    assert "source.rows: locked 2, found 1" in refused(reference)
    (base / "recipe.lock.yaml").rename(base.parent / "secret.yaml")
    (base / "recipe.lock.yaml").symlink_to(base.parent / "secret.yaml")
    commit(base)
    agree(reference)
    assert "is a link out of what was fetched" in run("apply", reference, "--yes").stderr
    locked(reference)
    lock, told = held(reference)
    assert (lock is not None, told[0]) == (True, "checking shared.lock.yaml")


def test_the_lock_of_a_local_recipe_of_that_name_stays(base: Path) -> None:
    Path("shared.yaml").write_text("mine")
    Path("shared.lock.yaml").write_text("mine too")
    result = run("lock", f"git+file://{base}@main")
    assert (result.exit_code, "lock of your own shared.yaml" in result.stderr) == (2, True)
    assert Path("shared.lock.yaml").read_text() == "mine too"
