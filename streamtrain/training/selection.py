"""Which step of a run was best so far, and whether it still gets better.

Knows nothing of models or questions.
"""

from __future__ import annotations

from dataclasses import dataclass


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
