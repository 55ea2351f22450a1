"""Where a recipe runs, who has which GPUs, and what a recipe would better leave to a profile."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.planning.preparation import PreparedRecipe, RecipeRequest, prepare
from raygen.planning.resources import GpuAllocation, Placement, placement_of

RECIPE = """\
recipe: small
version: 1
source: {path: q.jsonl}
task: free_text
engines:
  teacher: {model: m, backend: fake, gpus: 2, args: {answers: [x]}}
graph:
  said: {op: generate, from: source, engine: teacher, into: x, prompt: p}
output: {from: said, path: out}
"""
EIGHT = Placement("a100x8", low=1, high=8, gpus=1, rows=256, trainers=2)


def prepared(folder: Path, profile: str = "") -> PreparedRecipe:
    (folder / "q.jsonl").write_text('{"question": "Why?", "answer": "So."}\n')
    (folder / "r.yaml").write_text(RECIPE)
    (folder / "p.yaml").write_text(profile)
    return prepare(RecipeRequest(folder / "r.yaml", profile=folder / "p.yaml" if profile else None))


@pytest.mark.parametrize(
    ("gpus", "share"),
    [
        (8, GpuAllocation(6, True, 8)),
        (64, GpuAllocation(8, True, 10)),
        (3, GpuAllocation(1, True, 3)),
    ],
)
def test_training_has_its_gpus_and_generation_the_rest(gpus: int, share: GpuAllocation) -> None:
    assert EIGHT.share(gpus) == share


def test_generation_goes_first_where_there_are_too_few_for_both() -> None:
    one = Placement("a100x1", 1, 1, gpus=1, rows=256, trainers=1)
    share = one.share(1)
    assert (share.actors, share.concurrent, share.workers) == (1, False, 1)
    assert share.note == (
        "1 GPU can't serve generation and training at once; the student is trained after generation"
    )
    wide = Placement("p", 1, 4, gpus=4, rows=256, trainers=2).share(5)
    assert (wide.actors, wide.concurrent, wide.workers) == (1, False, 5)


def test_without_gpus_nothing_is_shared() -> None:
    assert Placement(None, 2, 3, gpus=0, rows=1, trainers=2).share(0) == GpuAllocation(3, True, 2)
    assert Placement("p", 1, 4, gpus=1, rows=1).share(2) == GpuAllocation(2, True, 0)
    # Training that can't have as many GPUs as it has workers runs on CPUs.
    assert Placement("p", 1, 4, gpus=1, rows=1, trainers=3).share(2) == GpuAllocation(2, True, 3)


def test_a_cluster_that_is_too_small_has_a_note() -> None:
    share = Placement("p", 1, 2, gpus=4, rows=1, trainers=1).share(2)
    assert share.actors == 2
    assert share.note == "an actor needs 4 GPUs and the cluster has 2; waiting for more"


def test_a_placement_is_what_the_profile_says(tmp_path: Path) -> None:
    alone = prepared(tmp_path)
    assert placement_of(alone.recipe, alone.plan) == Placement(None, 1, 1, gpus=2, rows=512)
    big = "profile: big\nreplicas: {min: 2, max: 6}\nconcurrency: 8\nengines: {teacher: {gpus: 1}}"
    there = prepared(tmp_path, big)
    found = placement_of(there.recipe, there.plan, trainers=2)
    assert found == Placement("big", 2, 6, gpus=1, rows=8, trainers=2)
    assert found.all_gpus == found.to_json()["all_gpus"] == 8


def test_gpus_in_a_recipe_are_a_hint_unless_a_profile_has_its_own(tmp_path: Path) -> None:
    (hint,) = prepared(tmp_path).hints
    assert (hint.line, hint.column) == (6, 38)
    assert "engines: {teacher: {gpus: 2}}" in hint.message
    assert prepared(tmp_path, "profile: p\nengines: {'*': {gpus: 1}}\n").hints == []
    assert len(prepared(tmp_path, "profile: p\nconcurrency: 3\n").hints) == 1
    said = {"engines.teacher.gpus": "4"}
    assert prepare(RecipeRequest(tmp_path / "r.yaml", said)).hints == [], "no part of the recipe"
