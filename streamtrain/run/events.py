"""Events of a run: one JSON object per line in metrics.jsonl, and their numbers for the loggers.

Events are start, loaded, eval, first_step, step, select, selected, checkpoint, restart, grow, end
and error; `raygen apply` reads them while they are written. Knows nothing of training.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from raygen.core import LineTail
from streamtrain.run.loggers import Logger

FORMAT_VERSION = 1


class Metrics:
    """Appends events to a file, one flushed line each; the numbers of events with a step go to the
    loggers too. Close it, and with it the loggers."""

    def __init__(self, path: Path, loggers: Sequence[Logger] = ()) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self._lines = path.open("a", encoding="utf-8")
        self._loggers = loggers

    def event(self, name: str, **fields: Any) -> None:
        """Write an event with the current Unix time; numbers that are not finite become null."""
        record = {"event": name, "time": time.time(), **fields}
        record = {key: _finite(value) for key, value in record.items()}
        self._lines.write(json.dumps(record) + "\n")
        self._lines.flush()
        if "step" in fields:
            prefix = f"{name}_{fields['when']}" if "when" in fields else name
            numbers = {
                f"{prefix}/{key}": float(value)
                for key, value in fields.items()
                if key != "step" and isinstance(value, int | float) and not isinstance(value, bool)
            }
            for logger in self._loggers if numbers else ():
                logger.log(numbers, fields["step"])

    def close(self) -> None:
        """Flush and close the file and the loggers."""
        self._lines.close()
        for logger in self._loggers:
            logger.close()


class EventTail:
    """Follows a file of events from its present end on."""

    def __init__(self, path: Path) -> None:
        self.history: list[dict[str, Any]] = []
        self._lines = LineTail(path)
        self._lines.skip()

    def read(self) -> list[dict[str, Any]]:
        """Read the events since the last call."""
        new = [json.loads(line) for line in self._lines.read()]
        self.history += new
        return new


def append_event(path: Path, name: str, **fields: Any) -> None:
    """Append one event to a file that no other process is writing."""
    metrics = Metrics(path)
    metrics.event(name, **fields)
    metrics.close()


def describe(event: dict[str, Any]) -> str | None:
    """Format an event as a line for the terminal; None for events that are not shown."""
    step = event.get("step")
    match event["event"]:
        case "start":
            on = {"cpu": " on CPUs", "cuda": " on GPUs"}.get(event.get("device", ""), "")
            return (
                f"student {event['student']} ({event['model']}), {event['workers']} worker(s){on}"
            )
        case "left_out":
            return str(event["note"])
        case "eval":
            share = f"{event['accuracy']:.1%} ({event['correct']}/{event['total']})"
            unparsed = f", {event['unparsed']} unparsed" if event["unparsed"] else ""
            return (
                f"accuracy {event['when']} training: {share}, 95 % interval "
                f"{event['low']:.1%} to {event['high']:.1%}{unparsed}"
            )
        case "select":
            best = ", the best so far" if event["best"] else ""
            return f"step {step}  accuracy on the select set {event['accuracy']:.1%}{best}"
        case "selected":
            return f"kept step {step}, accuracy on the select set {event['accuracy']:.1%}"
        case "first_step":
            ended = event["generation_ended"]
            when = "after the generator ended" if ended else "while the generator still runs"
            clock = time.strftime("%X", time.localtime(event["time"]))
            return f"first optimizer step at {clock}, {when}"
        case "step":
            of = f"/{event['total_steps']}" if event["total_steps"] else ""
            return (
                f"step {step}{of}  loss {event['loss']:.3f}  lr {event['lr']:.1e}  "
                f"{event['tokens_per_second']:.0f} tokens/s  waited {event['wait_s']:.0f} s"
            )
        case "restart":
            dead = " and ".join(map(str, event["workers"]))
            saved = "the last checkpoint" if event["checkpoint"] else "the start"
            missing = event.get("missing_gpus")
            wait = f", once {missing} more GPU(s) are there" if missing else ""
            return f"worker {dead} died; all go on from {saved}{wait}"
        case "grow":
            return f"more GPUs are free: going on with {event['workers']} workers"
        case "checkpoint":
            return f"saved {event['path']}"
    return None


def _finite(value: Any) -> Any:
    return None if isinstance(value, float) and not math.isfinite(value) else value
