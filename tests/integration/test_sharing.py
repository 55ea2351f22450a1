"""A recipe of somebody else's repository, changed in two places and run: on real Ray."""

from __future__ import annotations

import json
from pathlib import Path

import polars as pl
import pytest

from tests.integration.conftest import Project
from tests.support.references import commit


@pytest.mark.slow
def test_a_recipe_that_extends_a_fetched_one_keeps_its_pin_with_the_dataset(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    theirs = Project(tmp_path / "theirs", project.address)
    theirs.folder.mkdir()
    theirs.write(8)
    pin = commit(theirs.folder)
    (project.folder / "recipe.yaml").write_text(
        f"extends: git+file://{theirs.folder}@{pin}\n"
        "recipe: mine\n"
        "graph: {rationales: {n: 2}, correct: null}\n"
        "output: {from: rationales, path: out}\n"
    )
    first = project.apply()
    assert (first["recipe"], first["rows"]["source"]) == ("mine", 8)
    calls = pl.read_delta(str(project.out / "transcripts"))
    assert {json.loads(sampling)["n"] for sampling in calls["sampling"]} == {2}
    plan = json.loads((project.out / "plan.json").read_text())
    assert [one["pin"] for one in plan["fetched"]] == [pin]
    assert [node["name"] for node in plan["nodes"]] == ["rationales"]
    assert "extends" not in (project.out / "recipe.yaml").read_text()

    theirs.folder.rename(tmp_path / "gone")
    again = project.apply()
    assert (again["plan"], again["tokens"]["output"]) == (first["plan"], 0)
