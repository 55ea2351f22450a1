"""A dataset that grows, and `streamtrain fit` on it as a process: what tests of real runs share."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

from raygen.core.row import ColumnType, digest
from raygen.dataset.commit import Committer
from raygen.dataset.records import RowResult
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block

COLUMNS: Mapping[str, ColumnType] = {
    "view": "string",
    "question": "string",
    "choices": "strings",
    "answer": "integer",
    "label": "integer",
    "rationale": "string",
}
ROWS, PER_COMMIT, BATCH, EPOCHS = 48, 4, 4, 2
WAIT_S = 240


def result_row(number: int) -> RowResult:
    example = {
        "id": f"example-{number}",
        "node": "rationales",
        "view": "positive",
        "question": f"Which of these is the number {number}?",
        "choices": ["none", str(number), "all of them"],
        "answer": 1,
        "label": 1,
        "rationale": f"It is written {number} in the question.",
    }
    return RowResult(digest(number), "kept", (example,), (), (), None, 0.0, {})


@contextmanager
def killed_at_the_end() -> Iterator[list[subprocess.Popen[str]]]:
    """Processes, each with a session of its own, of which none outlives the block."""
    started: list[subprocess.Popen[str]] = []
    try:
        yield started
    finally:
        for process in started:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


class Generator:
    """Writes a real dataset in a thread, up to `pause_at` rows until it is told to go on."""

    def __init__(
        self,
        folder: Path,
        pause_at: int = ROWS,
        row: Callable[[int], RowResult] = result_row,
        columns: Mapping[str, ColumnType] = COLUMNS,
    ) -> None:
        self._row, self._columns = row, columns
        self._folder = Folder.at(folder)
        self.pause_at = pause_at
        self.failed: BaseException | None = None
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def finish(self) -> None:
        self.pause_at = ROWS
        self._thread.join(WAIT_S)
        assert self.failed is None
        assert not self._thread.is_alive()

    def _run(self) -> None:
        try:
            committer = Committer(self._folder, "plan-1", self._columns, "run-1")
            committer.start({"source": ROWS})
            for start in range(0, ROWS, PER_COMMIT):
                while start >= self.pause_at:
                    committer.heartbeat()
                    time.sleep(0.05)
                rows = [self._row(number) for number in range(start, start + PER_COMMIT)]
                committer.commit([write_block(self._folder, rows, "plan-1", self._columns)])
            committer.finish("end")
        except BaseException as error:
            self.failed = error
            raise


def fit(student: Path, data: Path, *options: str) -> list[str]:
    words = [sys.executable, "-m", "streamtrain.cli", "fit", str(student), "--data", str(data)]
    return [*words, *options]


def environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if key != "RAY_ADDRESS"}
    return {**kept, "OMP_NUM_THREADS": "1"}


def events(out: Path, name: str | None = None) -> list[dict[str, Any]]:
    path = out / "metrics.jsonl"
    if not path.exists():
        return []
    lines = path.read_text().split("\n")[:-1]
    found = [json.loads(line) for line in lines]
    return [event for event in found if name in (None, event["event"])]


def wait_for_checkpoints(
    process: subprocess.Popen[str], out: Path, count: int, starts: int = 1
) -> None:
    """Waits until the run that was started as number `starts` has saved `count` checkpoints."""
    deadline = time.monotonic() + WAIT_S
    while True:
        names = [event["event"] for event in events(out)]
        begun = [at for at, name in enumerate(names) if name == "start"]
        if len(begun) == starts and names[begun[-1] :].count("checkpoint") >= count:
            return
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, names
        time.sleep(0.05)


def start(words: list[str], processes: list[subprocess.Popen[str]]) -> subprocess.Popen[str]:
    process = subprocess.Popen(
        words,
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    processes.append(process)
    return process


def steps(out: Path, field: str) -> dict[int, Any]:
    """A field of every step; a step that was repeated after a kill counts as it was last."""
    return {event["step"]: event[field] for event in events(out, "step")}
