"""Follow a student's metrics file while it grows, and fold its events into the trainer's state.

Knows the events of metrics.jsonl; knows nothing of the process that writes them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from raygen.core import LineTail, wilson


@dataclass(frozen=True, slots=True)
class Accuracy:
    """Right answers out of `total` questions; `unparsed` answers count as wrong."""

    correct: int
    total: int
    unparsed: int = 0

    @property
    def share(self) -> float:
        """The share of right answers, in [0, 1]."""
        return self.correct / self.total if self.total else 0.0

    def interval(self) -> tuple[float, float]:
        """Compute the 95 % Wilson score interval of the share."""
        return wilson(self.correct, self.total)


@dataclass(frozen=True, slots=True)
class TrainerState:
    """The state of the training, from the metrics file so far. Times are seconds since the epoch.

    `wait_s` is how long the trainer waited for data in all, `rows` how many it has read.
    `trained_while_generating` is None until the first optimizer step.
    """

    phase: str = "starting"
    step: int = 0
    loss: float | None = None
    tokens_per_second: float | None = None
    wait_s: float = 0.0
    rows: int = 0
    before: Accuracy | None = None
    after: Accuracy | None = None
    first_step: float | None = None
    trained_while_generating: bool | None = None
    checkpoint: str | None = None
    error: str | None = None
    finished: bool = False


class MetricsTail:
    """A reader that folds a growing metrics.jsonl into a TrainerState.

    Lines of an earlier run are skipped; with `keep_history` (a resumed run) its accuracy before
    training and its first step still count.
    """

    def __init__(self, path: Path, keep_history: bool = False) -> None:
        self._lines = LineTail(path)
        self._state = TrainerState()
        past = self.read()
        self._state = TrainerState()
        if keep_history:
            self._state = TrainerState(
                before=past.before,
                first_step=past.first_step,
                trained_while_generating=past.trained_while_generating,
            )

    def read(self) -> TrainerState:
        """Read every complete line so far and return the state."""
        for line in self._lines.read():
            if line.strip():
                self._state = fold_event(self._state, line)
        return self._state


def fold_event(state: TrainerState, line: bytes) -> TrainerState:
    """Apply one line of metrics to a state; an unreadable line becomes the state's error."""
    try:
        event = json.loads(line)
        return _HANDLERS.get(event["event"], _ignore)(state, event)
    except (ValueError, KeyError, TypeError) as error:
        shown = line[:80].decode("utf-8", "replace")
        return replace(
            state, error=f"metrics.jsonl has a line that can't be read: {shown!r} ({error!r})"
        )


def _started(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return replace(state, phase="loading the student", error=None)


def _evaluated(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    accuracy = Accuracy(event["correct"], event["total"], event.get("unparsed", 0))
    if event["when"] == "before":
        return replace(state, phase="waiting for rows", before=accuracy)
    if event["when"] == "after":
        return replace(state, phase="saving", after=accuracy)
    return state


def _stepped(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return replace(
        state,
        phase="training",
        step=event["step"],
        loss=event["loss"],
        tokens_per_second=event.get("tokens_per_second"),
        wait_s=event.get("wait_s", state.wait_s),
        rows=event.get("rows", state.rows),
    )


def _first_step(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    if state.first_step is not None:
        return state
    return replace(
        state,
        first_step=event["time"],
        trained_while_generating=not event["generation_ended"],
    )


def _saved(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return replace(state, checkpoint=event["path"])


def _ended(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return replace(state, phase="ending", step=event.get("step", state.step))


def _failed(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return replace(state, phase="failed", error=str(event["message"]))


def _ignore(state: TrainerState, event: Mapping[str, Any]) -> TrainerState:
    return state


_HANDLERS = {
    "start": _started,
    "eval": _evaluated,
    "step": _stepped,
    "first_step": _first_step,
    "checkpoint": _saved,
    "end": _ended,
    "error": _failed,
}
