"""The driver of a generation run is killed, interrupted, or run twice: nothing is lost or repeated.

Each fault is really caused, at instants that a seed chooses; `make test-long` causes more of them.
"""

from __future__ import annotations

import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest

from raygen.dataset.log import newest_version
from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from tests.integration.conftest import Project, fake, kill, of_first

ROWS, CONCURRENCY, LATENCY_S = 160, 8, 0.25
INSTANTS = 50
SAMPLE = 1
SAME = ["id", "key", "view", "rationale", "predicted", "label"]


def slow(project: Project, latency: float = LATENCY_S, rows: int = ROWS) -> list[str]:
    """Write a project whose run takes seconds; returns the words that keep it slow."""
    project.write(rows, engines={"teacher": fake(latency=latency)})
    profile = project.folder / "slow.yaml"
    profile.write_text(f"profile: slow\nconcurrency: {CONCURRENCY}\n")
    return ["--profile", str(profile)]


def named_files(table: Path) -> set[str]:
    """The files that any commit names; those that a merge replaced stay for followers."""
    lines = [line for log in (table / "_delta_log").glob("*.json") for line in log.open()]
    actions = [json.loads(line) for line in lines]
    return {Path(action["add"]["path"]).name for action in actions if "add" in action}


def nothing_is_left_over(project: Project) -> None:
    """Every data file on disk is one that a commit names, and none has a row twice."""
    for name in ("examples", "rows", "transcripts"):
        table = project.out / name
        assert {path.name for path in table.glob("*.parquet")} == named_files(table)
    assert project.examples()["id"].is_unique().all()
    assert project.ledger()["key"].is_unique().all()


@pytest.fixture(scope="module")
def undisturbed(undisturbed_examples: pl.DataFrame) -> pl.DataFrame:
    return of_first(undisturbed_examples, ROWS).select(SAME)


@pytest.mark.parametrize(
    "seed",
    [
        pytest.param(seed, marks=() if seed < SAMPLE else pytest.mark.slow)
        for seed in range(INSTANTS)
    ],
)
def test_killed_at_any_instant_the_dataset_ends_as_if_nothing_had_happened(
    project: Project,
    undisturbed: pl.DataFrame,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    """From before the first file is written to the middle of the run."""
    words = slow(project)
    longest = 4.0 + ROWS / CONCURRENCY * LATENCY_S
    process = project.start(*words)
    time.sleep(random.Random(seed).uniform(0.2, longest))
    kill(process)
    # `status` holds kept + dropped + failed + pending against the source at every instant.
    if project.begun:
        assert project.status()["failed"] == 0
        nothing = project.examples() if (project.out / "examples").exists() else None
        assert nothing is None or set(nothing["id"]) <= set(undisturbed["id"])
    before = project.committed()
    again = project.start()
    record_property("recovery_s", project.recovers(again, before))
    summary = project.ends(again)
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert project.examples().select(SAME).equals(undisturbed)
    nothing_is_left_over(project)


@pytest.mark.slow
def test_at_every_instant_of_runs_and_kills_the_counts_add_up_and_no_file_is_torn(
    project: Project, undisturbed: pl.DataFrame
) -> None:
    """A reader that never stops sees ever more rows, whole, each once."""
    words = slow(project)
    stop, looks, heights = threading.Event(), list[int](), list[int]()
    wrong: list[BaseException] = []

    def look() -> None:
        dataset, ids = Dataset(Folder.at(project.out)), set(undisturbed["id"])
        try:
            while not stop.is_set():
                if newest_version(dataset.folder, "examples") < 1:
                    continue
                status = dataset.status()
                fates = (status.kept, status.dropped, status.failed, status.pending)
                assert sum(fates) == status.source == ROWS
                looks.append(status.pending)
                examples = dataset.examples().collect()
                assert examples["id"].is_unique().all()
                assert set(examples["id"]) <= ids
                heights.append(examples.height)
        except BaseException as error:  # noqa: BLE001 - handed to the test
            wrong.append(error)

    reader = threading.Thread(target=look)
    reader.start()
    try:
        for least in (1, 60):
            process = project.start(*words)
            project.wait_for(
                lambda least=least: project.committed() >= least,  # type: ignore[misc]
                process,
            )
            kill(process)
        project.apply(*words)
    finally:
        stop.set()
        reader.join()
    assert wrong == []
    assert looks == sorted(looks, reverse=True)
    assert heights == sorted(heights)
    assert len(set(looks)) > 10
    assert project.examples().select(SAME).equals(undisturbed)


@pytest.mark.slow
def test_of_two_applies_on_one_output_the_older_stops_and_the_dataset_is_right(
    project: Project, undisturbed: pl.DataFrame
) -> None:
    words = slow(project)
    older = project.start(*words)
    project.wait_for(lambda: project.committed() > 0, older)
    newer = project.start(*words)
    out, err = older.communicate(timeout=120)
    assert older.returncode == 1, err
    told = json.loads(out)["message"] if out.strip() else err
    assert "another" in told
    assert "Traceback" not in err
    out, err = newer.communicate(timeout=240)
    assert newer.returncode == 0, err
    assert json.loads(out)["rows"]["pending"] == 0
    assert project.examples().select(SAME).equals(undisturbed)
    # What the older one's actors wrote last was no longer committed, and the next start sweeps it.
    project.apply()
    assert project.examples().select(SAME).equals(undisturbed)
    nothing_is_left_over(project)


@pytest.mark.slow
def test_a_source_that_changes_between_runs_is_reported_and_its_old_rows_are_kept(
    project: Project,
) -> None:
    project.write(20)
    first = project.apply()
    before = project.examples()
    lines = (project.folder / "source.jsonl").read_text().splitlines(keepends=True)
    changed = [lines[0].replace("Question 0?", "Another?"), *lines[1:15]]
    (project.folder / "source.jsonl").write_text("".join(changed))
    process = project.start()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 0, err
    summary = json.loads(out)
    assert summary["plan"] == first["plan"]
    assert summary["rows"]["pending"] == 0
    after = project.examples()
    assert after.filter(pl.col("id").is_in(before["id"].to_list())).equals(before)
    assert "Another?" in after["question"].to_list()
    assert "source" in (err + (summary.get("message") or ""))
