"""`raygen lock`, and that the same lock gives the same dataset, row for row, on real Ray."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import yaml

from tests.integration.conftest import Project, fake


def lock(project: Project) -> dict[str, Any]:
    """`raygen lock` on the project's recipe."""
    command = [sys.executable, "-m", "raygen.cli", "lock", str(project.folder / "recipe.yaml")]
    done = subprocess.run([*command, "--json"], capture_output=True, text=True, check=True)
    answer: dict[str, Any] = json.loads(done.stdout)
    return answer


def elsewhere(project: Project, folder: Path) -> Project:
    """A copy of the project's files: what a reader of a shared recipe and its lock has."""
    folder.mkdir()
    for name in ("recipe.yaml", "recipe.lock.yaml", "source.jsonl"):
        (folder / name).write_bytes((project.folder / name).read_bytes())
    return replace(project, folder=folder)


def rows(project: Project) -> pl.DataFrame:
    """The examples with all their columns, and what the engine said, by id."""
    return project.examples()


@pytest.mark.slow
def test_the_same_lock_gives_the_same_rows_and_is_carried(project: Project, tmp_path: Path) -> None:
    project.write(40)
    locked = lock(project)
    first = project.apply("--locked")
    assert first["plan"] == locked["lock"]["plan"]
    assert yaml.safe_load((project.out / "recipe.lock.yaml").read_text()) == locked["lock"]

    other = elsewhere(project, tmp_path / "other")
    slow = tmp_path / "slow.yaml"
    slow.write_text("profile: slow\nconcurrency: 2\n")
    other.apply("--locked", "--profile", str(slow))
    assert len(rows(project)) > 0
    assert rows(other).equals(rows(project))
    calls = [
        pl.read_delta(str(one.out / "transcripts")).sort("id").select("id", "completions")
        for one in (project, other)
    ]
    assert calls[0].equals(calls[1])

    other.write(40, engines={"teacher": fake("Other. So the answer is: (a)")})
    assert "engines.teacher" in other.apply("--locked", code=2)["error"]
    assert rows(other).equals(rows(project)), "a refused run changes nothing"
    assert (other.out / "recipe.lock.yaml").exists()


@pytest.mark.slow
def test_a_dataset_that_goes_on_without_its_lock_no_longer_carries_it(project: Project) -> None:
    project.write(12)
    lock(project)
    project.apply()
    stored = project.out / "recipe.lock.yaml"
    assert stored.exists(), "a lock that is there and holds is carried without being asked for"
    (project.folder / "recipe.lock.yaml").unlink()
    project.write(20)
    project.apply()
    assert not stored.exists()
    lock(project)
    refused = project.apply("--locked", code=2)
    assert "--fresh" in refused["error"]
    project.apply("--locked", "--fresh")
    assert stored.exists()


@pytest.mark.slow
def test_vllm_greedy_under_one_lock_says_the_same_twice(
    project: Project, tiny_model: Path, tmp_path: Path
) -> None:
    args = {"max_num_seqs": 8, "max_model_len": 256}
    graph = {
        "said": {"op": "generate", "from": "source", "engine": "tiny", "temperature": 0.0,
                 "truncated": "keep", "prompt": "{{ question }}", "into": "said",
                 "max_tokens": 24},
    }  # fmt: skip
    engines = {"tiny": {"model": str(tiny_model), "args": args}}
    project.write(10, engines=engines, graph=graph, output={"from": "said", "path": "out"})
    locked = lock(project)["lock"]
    assert locked["engines"]["tiny"]["content"]
    assert {"torch", "transformers"} < set(locked["packages"])
    project.apply("--locked")
    other = elsewhere(project, tmp_path / "other")
    other.apply("--locked")
    assert len(rows(project)) == 10
    assert rows(other).equals(rows(project))
    assert rows(project)["said"].n_unique() > 1
