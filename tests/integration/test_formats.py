"""What raygen 0.1.0 left on disk goes on: `raygen apply` on a dataset of format 2, on real Ray."""

from __future__ import annotations

import shutil
from pathlib import Path

import polars as pl

from tests.integration.conftest import Project

STORED = Path(__file__).parents[1] / "data" / "dataset-0.1.0"


def test_a_dataset_of_format_2_is_resumed_and_its_finished_rows_stay(
    project: Project, tmp_path: Path
) -> None:
    shutil.copytree(STORED, tmp_path, dirs_exist_ok=True)
    before = pl.read_delta(str(project.out / "rows"))
    finished = before.filter(~pl.col("passing"))
    summary = project.apply("--limit", "10", "--set", "engines.teacher.args.latency=0")
    assert summary["plan"] == before["plan"][0]
    rows = {name: summary["rows"][name] for name in ("kept", "dropped", "failed", "pending")}
    assert rows == {"kept": 5, "dropped": 2, "failed": 3, "pending": 0}
    ledger = project.ledger()
    assert ledger["key"].n_unique() == len(ledger) == 10
    same = ledger.join(finished, on=["key", "run", "status", "transcript"])
    assert len(same) == len(finished) == 6, "what had ended was not run again"
    retried = ledger.filter(pl.col("key").is_in(before.filter("passing")["key"].to_list()))
    assert set(retried["status"]) == {"failed"}, "their fault is scripted for the first call"
    assert not retried["retryable"].any(), "a second try is the last"
    assert not retried["run"].is_in(before["run"].to_list()).any()
    more = project.apply("--set", "engines.teacher.args.latency=0", "--retry", "failed")
    rows = {name: more["rows"][name] for name in ("kept", "dropped", "failed", "pending")}
    assert rows == {"kept": 8, "dropped": 2, "failed": 2, "pending": 0}
