"""What a run or a preview measured, read back."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.dataset.storage import Folder
from raygen.planning.history import (
    EngineUsage,
    NodeMeasure,
    RunMeasurements,
    best_measurements,
    conditions_of,
    identities,
    last_preview,
    measure_dataset,
    measure_rows,
    store_preview,
)
from raygen.runtime.row_program import RowProgram
from tests.support.dataset_records import block, committer
from tests.support.plans import QUESTION, engines, fake_spec, node, plan
from tests.support.stored_plans import stored_plan


async def test_a_preview_counts_rows_calls_and_tokens_by_node() -> None:
    asks = node("asks", "generate", prompt="{{ question }}", into="x", n=2)
    long = node("long", "filter", "asks", where="x | length > 3", reason="short")
    one = plan([asks, long], ("long",), fake_spec("yes", "maybe"))
    program = RowProgram(one, engines(one))
    results = [await program.run(key, QUESTION) for key in "ab"]
    measured = measure_rows(one, results, 2.0)
    assert (measured.rows, measured.examples, measured.seconds) == (2, 2, 2.0)
    assert (measured.nodes["asks"].rows_in, measured.nodes["asks"].kept) == (2, 4)
    assert measured.nodes["asks"].engines["teacher"].calls == 2
    assert measured.nodes["long"].pass_rate == 0.5
    assert measured.tokens == sum(
        c.prompt_tokens + c.output_tokens for r in results for c in r.calls
    )


def test_a_preview_is_kept_and_a_broken_file_is_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path))
    assert last_preview("small") is None
    measured = RunMeasurements(basis="preview", plan="p", rows=1, examples=1, seconds=1.0, nodes={})
    store_preview("small", measured)
    assert last_preview("small") == measured
    assert last_preview("other") is None
    (path,) = (tmp_path / "previews").iterdir()
    path.write_text("{}")
    assert last_preview("small") is None


def test_a_cache_that_cannot_be_written_stops_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "file"))
    store_preview(
        "small",
        RunMeasurements(basis="preview", plan="p", rows=1, examples=1, seconds=1.0, nodes={}),
    )
    assert last_preview("small") is None


def test_a_run_is_read_from_its_dataset(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    assert measure_dataset(folder) is None
    run = committer(folder, source=3)
    run.commit([block(folder, ["a", "b"])])
    assert measure_dataset(folder) is None  # no plan.json: nobody knows what the nodes were
    folder.write_text("plan.json", json.dumps(stored_plan("plan-a", "think")))
    found = measure_dataset(folder)
    assert found is not None
    assert (found.basis, found.rows, found.nodes["think"].rows_in) == ("run", 2, 2)
    assert found.seconds > 0
    assert sum(use.calls for use in found.nodes["think"].engines.values()) == 2


def test_a_run_says_on_how_many_actors_and_what_it_ran(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    conditions = {"teacher": "vllm on 1 GPU"}
    for actors, key in ((1, "a"), (3, "b")):
        run = committer(folder, source=2, run=f"run-{actors}")
        run.describe(actors=actors, conditions=conditions)
        run.commit([block(folder, [key])])
    folder.write_text("plan.json", json.dumps(stored_plan("plan-a")))
    found = measure_dataset(folder)
    assert found is not None
    assert 1 < found.actors < 3
    assert found.conditions == conditions
    run = committer(folder, source=3, run="run-4")
    run.describe(conditions={"teacher": "fake"})
    run.commit([block(folder, ["c"])])
    mixed = measure_dataset(folder)
    assert mixed is not None
    assert mixed.conditions == {}


def test_conditions_are_what_the_engines_run_on() -> None:
    spec = replace(fake_spec("x"), backend="vllm", gpus=2)
    asks = node("asks", "generate", prompt="p", into="x")
    assert conditions_of(plan([asks], ("asks",), spec)) == {"teacher": "vllm on 2 GPUs"}
    assert conditions_of(plan([asks], ("asks",), fake_spec("x"))) == {"teacher": "fake"}


def measure(identity: str, rows_in: int) -> RunMeasurements:
    node_measure = NodeMeasure(
        identity=identity, rows_in=rows_in, kept=1, dropped=0, engines={"t": EngineUsage(calls=1)}
    )
    return RunMeasurements(
        basis="run", plan="p", rows=1, examples=1, seconds=1.0, nodes={"a": node_measure}
    )


def test_the_same_settings_count_more_than_many_rows() -> None:
    same, other, empty = measure("i", 3), measure("j", 900), measure("i", 0)
    assert best_measurements("a", "i", [other, same, empty]) == (same, True)
    assert best_measurements("a", "k", [same, other]) == (other, False)
    assert best_measurements("b", "i", [same]) is None


def test_a_plan_of_an_older_raygen_says_nothing_of_its_nodes() -> None:
    assert identities({"nodes": [{"name": "a"}, {"name": "b", "identity": "i"}]}) == {
        "a": "",
        "b": "i",
    }
