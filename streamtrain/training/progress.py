"""The progress of a run: its steps, counters and schedule, and its best step so far.

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
    """The best score and its step, and how many evaluations in a row brought no gain above the
    threshold (`waited`)."""

    best: float | None = None
    step: int = 0
    waited: int = 0

    def see(self, score: float, step: int, threshold: float) -> bool:
        """Take in the score of a step; returns whether it is the best so far."""
        # As the papers' trainer does it: a smaller gain is the best step, but gives no patience.
        better = self.best is None or score > self.best
        enough = self.best is None or score > self.best + threshold
        self.waited = 0 if enough else self.waited + 1
        if better:
            self.best, self.step = score, step
        return better


@dataclass(slots=True)
class TrainProgress:
    """The progress of a run: what a resume needs besides weights and optimizer.

    `total` and `total_known_at` are the schedule's. `seconds`, `wait_s`, `step_s` (of the steps
    alone) and `flops` add up over restarts, and so does `peak_flops`, what the devices could have
    done, 0 if their peak isn't known. `epoch` is units used over units known. `settings` are the
    part of the configuration that the order of batches depends on. `selected_at` is the last step
    evaluated on the select set, and `validating` are steps whose evaluation is still running.
    `left_out` counts the dataset's examples that are not trained on, by reason.
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
        """Count one more step, over `rows` rows."""
        self.step += 1
        self.rows += rows
        self.tokens += step.tokens
        self.cut += step.cut
        self.step_s += step.seconds
        self.flops += load.flops(step.tokens, step.read, step.predicted)
        self.peak_flops += (load.peak or 0.0) * load.devices * step.seconds
