"""The lines for people about the events of a run, also of a run of an older version."""

from __future__ import annotations

from typing import Any

import pytest

from streamtrain.run.events import describe

START = {"event": "start", "student": "tiny", "model": "m", "workers": 2}
RESTART = {"event": "restart", "workers": [1], "checkpoint": True}


@pytest.mark.parametrize(
    ("event", "line"),
    [
        (START, "student tiny (m), 2 worker(s)"),
        ({**START, "device": "cpu"}, "student tiny (m), 2 worker(s) on CPUs"),
        ({**START, "device": "cuda"}, "student tiny (m), 2 worker(s) on GPUs"),
        (RESTART, "worker 1 died; all go on from the last checkpoint"),
        (
            {**RESTART, "missing_gpus": 2},
            "worker 1 died; all go on from the last checkpoint, once 2 more GPU(s) are there",
        ),
        (
            {**RESTART, "missing_gpus": 0, "checkpoint": False},
            "worker 1 died; all go on from the start",
        ),
        ({"event": "end", "reason": "end"}, None),
    ],
)
def test_an_event_is_a_line_or_none(event: dict[str, Any], line: str | None) -> None:
    assert describe(event) == line
