"""How far a run is: its steps, counters and schedule, and which of its steps was best so far.

Knows nothing of files, models or questions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from streamtrain.data import Cursor
from streamtrain.models import ComputeLoad
from streamtrain.training.step import StepResult


@dataclass(slots=True)
class Selection:
    """The best score, the step that had it, and evaluations since one was better by more than the
    threshold."""

    best: float | None = None
    step: int = 0
    waited: int = 0

    def see(self, score: float, step: int, threshold: float) -> bool:
        """Take in the score of a step; whether it is the best so far."""
        # As the papers' trainer does it: a smaller gain is the best step, but gives no patience.
        better = self.best is None or score > self.best
        enough = self.best is None or score > self.best + threshold
        self.waited = 0 if enough else self.waited + 1
        if better:
            self.best, self.step = score, step
        return better


@dataclass(slots=True)
class TrainProgress:
    """How far a run is: what a resume needs besides weights and optimizer.

    `total` and `total_known_at` are the schedule's; `seconds`, `wait_s` and `step_s`, which the
    steps alone took, add up over restarts, and so do `flops` and what the devices could have done
    at their peak, 0 where that isn't known; `epoch` is how often the known units were used;
    `settings` are the configuration that the order of batches hangs on; `selected_at` is the last
    step that the select set was asked after, and `validating` are those whose figures aren't there
    yet; `left_out` counts the dataset's examples that aren't trained on, by reason.
    """

    settings: Mapping[str, Any]
    cursor: Cursor = field(default_factory=Cursor)
    step: int = 0
    rows: int = 0
    tokens: int = 0
    cut: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0
    step_s: float = 0.0
    epoch: float = 0.0
    flops: float = 0.0
    peak_flops: float = 0.0
    total: int | None = None
    total_known_at: int = 0
    first_step_time: float | None = None
    ended_at_first_step: bool | None = None
    before: Mapping[str, Any] | None = None
    selection: Selection = field(default_factory=Selection)
    selected_at: int | None = None
    validating: list[int] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def add(self, step: StepResult, rows: int, load: ComputeLoad) -> None:
        """Count one more step, over so many rows."""
        self.step += 1
        self.rows += rows
        self.tokens += step.tokens
        self.cut += step.cut
        self.step_s += step.seconds
        self.flops += load.flops(step.tokens, step.read, step.predicted)
        self.peak_flops += (load.peak or 0.0) * load.devices * step.seconds
