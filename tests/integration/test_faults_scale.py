"""A source far larger than what is in flight: memory stays where it is."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Project, fake

ROWS = 1_000_000
MOST_BYTES = 2_500_000_000
"""For the driver, which keeps a key for every source row."""


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_million_rows_and_a_slow_engine_stay_under_a_fixed_memory(project: Project) -> None:
    project.write(1, engines={"teacher": fake(latency=5.0)})
    rows = Path(project.folder / "source.jsonl")
    with rows.open("w") as file:
        for number in range(ROWS):
            row = {"question": f"Question {number}?", "choices": ["x", "y", "z"], "answer": 0}
            file.write(json.dumps(row) + "\n")
    process = project.start()
    driver, most = psutil.Process(process.pid), 0

    def started() -> bool:
        nonlocal most
        most = max(most, driver.memory_info().rss)
        return project.committed() > 0

    deadline = time.monotonic() + 600
    while not started():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.2)
    done, until = len(project.ledger()), time.monotonic() + 30
    while time.monotonic() < until:
        most = max(most, driver.memory_info().rss)
        time.sleep(0.2)
    assert len(project.ledger()) > done
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=120)
    assert process.returncode == 1, err
    status = project.status()
    assert status["source"] == ROWS
    assert status["pending"] > ROWS * 0.99
    assert most < MOST_BYTES
    print(f"the driver took {most / 1e6:.0f} MB at most")
