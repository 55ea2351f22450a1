"""The clock is set by an hour or by years, during a run or between two: nothing is lost or swept.

What a clock can have left behind is set anew: the times in the tables' logs, and of all files.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest

from tests.integration.conftest import Project, kill
from tests.integration.test_faults_driver import SAME, nothing_is_left_over, slow
from tests.integration.test_faults_driver import undisturbed as undisturbed  # a fixture

HOUR_S, YEARS_S = 3600, 20 * 365 * 24 * 3600


def set_clock(out: Path, by_s: int) -> int:
    """Let all that is in a dataset have been written earlier or later; returns how many commits."""
    logs = list(out.glob("*/_delta_log/*.json"))
    for log in logs:
        actions = [json.loads(line) for line in log.read_text().splitlines()]
        for action in actions:
            if "commitInfo" in action:
                action["commitInfo"]["timestamp"] += 1000 * by_s
            if "add" in action:
                action["add"]["modificationTime"] += 1000 * by_s
        aside = log.with_name(f".{log.name}.aside")
        aside.write_text("\n".join(map(json.dumps, actions)))
        aside.replace(log)
    for path in out.rglob("*"):
        with suppress(FileNotFoundError):  # a worker renames it
            at = max(0.0, path.stat().st_mtime + by_s)
            os.utime(path, (at, at))
    return len(logs)


@pytest.mark.parametrize(
    "by_s",
    [-HOUR_S, *(pytest.param(by_s, marks=pytest.mark.slow) for by_s in (HOUR_S, YEARS_S))],
    ids=["back", "forth", "far forth"],
)
@pytest.mark.slow
def test_a_clock_that_is_set_during_a_run_and_after_a_kill_loses_nothing(
    project: Project,
    undisturbed: pl.DataFrame,
    by_s: int,
    record_property: Callable[[str, object], None],
) -> None:
    words = slow(project)
    process = project.start(*words)
    project.wait_for(lambda: project.committed() > 0, process)
    before = len(project.ledger())
    assert set_clock(project.out, by_s) > 3
    project.wait_for(lambda: len(project.ledger()) > before, process)
    kill(process)
    committed = project.ledger()
    assert set_clock(project.out, -2 * by_s) > 3
    assert project.ledger().equals(committed)
    orphan = project.out / "examples" / "0123456789abcdef0123456789abcdef.parquet"
    orphan.write_bytes(b"left by the driver that was killed, when the clock was wrong")
    os.utime(orphan, (2**32, 2**32))
    again = project.start()
    record_property("recovery_s", project.recovers(again, len(committed)))
    summary = project.ends(again)
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert set(committed["key"]) <= set(project.ledger()["key"])
    assert project.examples().select(SAME).equals(undisturbed)
    nothing_is_left_over(project)
