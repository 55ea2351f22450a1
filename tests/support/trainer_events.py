"""The events of a short training run, as its metrics file has them."""

from __future__ import annotations

import json
from typing import Any

EVENTS: list[dict[str, Any]] = [
    {"event": "start", "time": 1.0, "workers": 1},
    {"event": "eval", "when": "before", "step": 0, "accuracy": 0.25, "correct": 12, "total": 48},
    {"event": "first_step", "time": 9.5, "generation_ended": False},
    {"event": "step", "step": 1, "loss": 2.5, "lr": 1e-5, "tokens_per_second": 240.0,
     "wait_s": 4.0, "rows": 8, "time": 9.6},
    {"event": "checkpoint", "path": "out/student/checkpoint-1", "step": 1},
    {"event": "eval", "when": "after", "step": 1, "correct": 24, "total": 48, "unparsed": 2},
    {"event": "end", "reason": "end", "step": 1},
]  # fmt: skip


def lines(events: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(event) + "\n" for event in events)
