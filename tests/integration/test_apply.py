"""`raygen apply` on real Ray with the fake engine: what comes out, again, and after kills."""

from __future__ import annotations

import json
import signal
import sys
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from tests.integration.conftest import Project, fake, kill

POISON_OP = """
import os
from raygen.ops.base import Columns, Op, OpParams

class PoisonParams(OpParams):
    \"\"\"Takes its process down on one question.\"\"\"

async def run(row, params, ctx):
    if row.data["question"] == "Question 7?":
        os._exit(9)
    return [row]

POISON = Op("poison", 1, PoisonParams, run, lambda params, task: Columns())
"""


def test_a_recipe_becomes_a_dataset_and_again_only_what_is_left(project: Project) -> None:
    project.write(30)
    first = project.apply("--limit", "20")
    assert first["rows"]["source"] == 20
    assert first["rows"]["pending"] == first["rows"]["failed"] == 0
    examples, ledger = project.examples(), project.ledger()
    assert len(ledger) == 20
    assert examples["id"].n_unique() == len(examples) == first["examples"] > 0
    assert set(examples["view"]) == {"positive"}
    assert (examples["predicted"] == examples["answer"]).all()
    calls = pl.read_delta(str(project.out / "transcripts"))
    assert len(calls) == 20, "n samples are one call"
    assert set(calls["key"]) == set(ledger["key"])
    rejects = ledger["rejects"].explode().struct.field("reason").value_counts()
    assert set(rejects["reason"].drop_nulls()) == {"wrong_answer", "no_answer"}
    plan = json.loads((project.out / "plan.json").read_text())
    assert plan["hash"] == first["plan"]
    assert "recipe: test" in (project.out / "recipe.yaml").read_text()
    card = (project.out / "README.md").read_text()
    assert f"{first['examples']} examples from 20 source rows" in card

    more = project.apply()
    assert more["rows"]["source"] == 30
    assert more["plan"] == first["plan"], "limit is no part of a plan"
    assert len(pl.read_delta(str(project.out / "transcripts"))) == 30
    grown = project.examples()
    assert grown.filter(pl.col("id").is_in(examples["id"].to_list())).equals(examples)

    again = project.apply()
    assert again["tokens"]["output"] == 0
    assert project.examples().equals(grown)
    assert project.status()["ended"] == "end"
    assert not list((project.out / "control").glob("probe-*"))


@pytest.mark.slow
def test_a_killed_driver_loses_nothing_and_repeats_nothing(
    project: Project, tmp_path: Path
) -> None:
    project.write(120, engines={"teacher": fake(latency=0.4)})
    profile = tmp_path / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 8\n")
    for rows in (10, 50):
        process = project.start("--profile", str(profile))
        project.wait_for(
            lambda rows=rows: project.committed() >= rows,  # type: ignore[misc]
            process,
        )
        kill(process)
        status = project.status()
        assert 0 < status["pending"] < 120
        assert status["ended"] is None
    last = project.apply()
    assert last["rows"]["pending"] == 0
    ledger = project.ledger()
    assert ledger["key"].n_unique() == len(ledger) == 120

    undisturbed = Project(tmp_path / "undisturbed", project.address)
    undisturbed.folder.mkdir()
    undisturbed.write(120)
    undisturbed.apply()
    same = ["id", "key", "rationale", "label"]
    assert project.examples().select(same).equals(undisturbed.examples().select(same))
    named = {Path(uri).name for uri in DeltaTable(str(project.out / "examples")).file_uris()}
    assert {path.name for path in (project.out / "examples").glob("*.parquet")} == named


@pytest.mark.parametrize(
    "number", [signal.SIGINT, pytest.param(signal.SIGTERM, marks=pytest.mark.slow)]
)
def test_a_signal_commits_what_is_in_flight_and_leaves_the_rest_pending(
    project: Project, number: signal.Signals
) -> None:
    project.write(200, engines={"teacher": fake(latency=0.3)})
    profile = project.folder / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 8\n")
    process = project.start("--profile", str(profile))
    project.wait_for(lambda: project.committed() > 0, process)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    summary = json.loads(out)
    assert process.returncode == 1
    assert summary["outcome"] == "interrupted"
    assert "Traceback" not in err
    status = project.status()
    assert status["ended"] == "stopped"
    assert 0 < status["pending"] < 200
    assert summary["rows"]["pending"] == status["pending"]


def test_a_row_that_kills_its_process_is_found_and_the_others_are_kept(project: Project) -> None:
    trusted = project.folder / "raygen_poison.py"
    trusted.write_text(POISON_OP)
    graph = {
        "poison": {"op": "poison", "from": "source"},
        "echo": {"op": "map", "from": "poison", "set": {"text": "question"}},
    }
    project.write(
        10,
        engines={},
        graph=graph,
        output={"from": "echo", "path": "out", "max_failed": 0.2},
    )
    summary = project.apply("--trust", str(trusted))
    fates = {name: summary["rows"][name] for name in ("kept", "dropped", "failed", "pending")}
    assert fates == {"kept": 9, "dropped": 0, "failed": 1, "pending": 0}
    (error,) = project.status()["errors"]
    assert error["error"].startswith("engine_crash")
    assert "Question 7?" not in project.examples()["text"].to_list()


@pytest.mark.slow
def test_too_many_failed_rows_end_the_run_with_code_3(project: Project) -> None:
    graph = {"bad": {"op": "map", "from": "source", "set": {"x": "1 / (answer - 1)"}}}
    project.write(60, engines={}, graph=graph, output={"from": "bad", "path": "out"})
    summary = project.apply(code=3)
    assert summary["outcome"] == "too_many_failed"
    assert "max_failed" in summary["message"]
    status = project.status()
    assert status["failed"] > 3
    assert "division by zero" in status["errors"][0]["error"]


@pytest.mark.slow
def test_a_dead_endpoint_leaves_every_row_pending(project: Project) -> None:
    engine = {
        "model": "m",
        "backend": "openai",
        "args": {"base_url": "http://127.0.0.1:9/v1", "timeout": 1},
    }
    project.write(10, engines={"teacher": engine})
    summary = project.apply(code=1)
    assert "127.0.0.1:9" in (summary.get("message") or summary["error"])
    status = project.status()
    assert (status["pending"], status["failed"]) == (10, 0)


@pytest.mark.slow
def test_other_arguments_of_an_engine_are_no_reason_to_run_again(project: Project) -> None:
    project.write(10)
    first = project.apply()
    project.write(10, engines={"teacher": {**fake("Yes. So the answer is: (a)")}})
    same = project.apply()
    assert same["plan"] == first["plan"], "an engine's args are conditions, not identity"
    assert same["tokens"]["output"] == 0


@pytest.mark.slow
def test_a_changed_recipe_replaces_and_fresh_starts_over_after_asking(project: Project) -> None:
    project.write(10)
    first = project.apply()
    path = project.folder / "recipe.yaml"
    path.write_text(path.read_text().replace("n: 4", "n: 2"))
    asked = _without_yes(project)
    assert "another version of this recipe" in asked
    changed = project.apply()
    assert changed["plan"] != first["plan"]
    assert set(project.ledger()["plan"]) == {changed["plan"]}
    assert len(project.ledger()) == 10

    fresh = project.apply("--fresh")
    assert fresh["tokens"]["output"] > 0
    assert fresh["reused"]["calls"] == 0
    assert len(project.ledger()) == 10


def _without_yes(project: Project) -> str:
    import subprocess

    command = [sys.executable, "-m", "raygen.cli", "apply", str(project.folder / "recipe.yaml")]
    done = subprocess.run(command, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 2
    return done.stderr
