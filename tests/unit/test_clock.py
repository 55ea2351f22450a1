"""No row hangs on the wall clock, which may be set, and of which each machine has its own.

What waits, counts hours or notices silence uses a monotonic clock of its own process.
"""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
WALL = {"time.time", "datetime.now", "datetime.today", "datetime.utcnow", "date.today"}
TOLD = {
    "raygen/dataset/delta.py": "Delta wants a time of modification for each file; nobody reads it",
    "raygen/engines/batches/queue.py": "when a batch was sent: status shows it, and where an API "
    "can't be asked otherwise, batches that are clearly older aren't taken for it",
    "raygen/views/status.py": "for how long a batch has waited, for people",
    "raygen/runtime/counts.py": "by how much the first step of training came before the last row",
    "streamtrain/training/loop.py": "the same, for the trainer's result",
    "streamtrain/run/loggers.py": "the time that MLflow shows beside a point",
    "streamtrain/run/events.py": "the time of an event in the trainer's log",
    "streamtrain/training/ray_backend.py": "what a start cost: a wrong clock grows a run in vain",
}
"""Who may read it, and what for."""


def test_the_wall_clock_is_read_for_what_no_row_hangs_on() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for package in ("raygen", "streamtrain")
        for path in (ROOT / package).rglob("*.py")
        if any(name in (text := path.read_text("utf-8")) for name in WALL)
        for node in ast.walk(ast.parse(text))
        if isinstance(node, ast.Attribute) and ast.unparse(node) in WALL
    }
    assert found == set(TOLD)
