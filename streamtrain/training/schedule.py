"""The learning rate schedule of a run whose length may become known only on the way.

Warm-up - stable - decay (`wsd`) is constant until the length is known, and decays to zero over the
last fifth of the run; `linear` and `cosine` need the length from the start. Knows nothing of torch
or of where the length comes from.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

DECAY_SHARE = 0.2
WARMUP_STEPS_UNKNOWN = 10
"""Steps of warm-up if it is given as a share of a length that is not known yet."""

ScheduleKind = Literal["wsd", "linear", "cosine"]


@dataclass(slots=True)
class Schedule:
    """Factors of the peak learning rate. `warmup` below 1 is a share of the run, else steps.

    `total` is the number of steps of the run once known, and `known_at` the step at which it became
    known; both are part of a checkpoint, so that a resumed run decays alike.
    """

    kind: ScheduleKind
    warmup: float
    total: int | None = None
    known_at: int = 0

    def set_length(self, step: int, total: int) -> None:
        """Set the length of the run, known when `step` steps are done."""
        if total != self.total:
            self.total, self.known_at = total, step

    def factor(self, step: int) -> float:
        """Compute the factor of step number `step`, counted from 0."""
        warmup = self._warmup_steps()
        if step < warmup:
            return (step + 1) / warmup
        if self.total is None:
            return 1.0
        if self.kind == "wsd":
            # The decay can't begin before the length is known.
            decay = min(math.ceil(DECAY_SHARE * self.total), self.total - self.known_at)
            return min(1.0, max(0.0, (self.total - step) / max(1, decay)))
        done = (step - warmup) / max(1, self.total - warmup)
        if self.kind == "linear":
            return max(0.0, 1.0 - done)
        return 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))

    def _warmup_steps(self) -> int:
        if self.warmup >= 1 or self.warmup == 0:
            return int(self.warmup)
        if self.total is None or self.known_at > 0:
            # Never a function of a length that came later: steps already done would change.
            return WARMUP_STEPS_UNKNOWN
        return max(1, round(self.warmup * self.total))
