"""A run's held-out questions: reports on one set, selects the best step on another.

The set that selects a step is never the one that is reported. With a validator the select set is
evaluated in parallel to training, and results are taken in, in the order of the steps, as they
arrive. Knows nothing of the stream, of ranks or of Ray.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from streamtrain.config import EvaluateConfig
from streamtrain.data import ExampleTokenizer
from streamtrain.evaluation import (
    EVALUATIONS,
    Evaluation,
    check_record,
    write_record,
)
from streamtrain.heldout import HeldOut, HeldOutFile, read_held_out
from streamtrain.models import Student
from streamtrain.run import BEST, VALIDATING, RunSpec
from streamtrain.training import checkpoint
from streamtrain.training.progress import TrainProgress
from streamtrain.training.shards import copy_weights, save_weights
from streamtrain.training.validation import Validator, evaluate_held_out


def evaluation_due(settings: EvaluateConfig, step: int) -> bool:
    """Tell whether the select set is evaluated after a step."""
    return settings.every is not None and step % settings.every == 0


class ModelSelector:
    """The held-out sets of one run, on one rank. `event` records what happened."""

    def __init__(
        self,
        job: RunSpec,
        student: Student,
        tokenizer: ExampleTokenizer,
        event: Callable[..., None],
        validator: Validator | None = None,
    ) -> None:
        """Read the sets. Raises InputError if one can't be read."""
        self._validator = validator
        self._figures: dict[int, Mapping[str, Any]] = {}
        self._job, self._student, self._tokenizer, self._event = job, student, tokenizer, event
        labels = job.config.data.labels or ()
        sets = {"report": job.report, "select": job.select}
        if job.report is not None:
            check_record(job.out / EVALUATIONS, job.report.stem)
        self._sets = {name: read_held_out(p, labels) for name, p in sets.items() if p is not None}
        for name, each in self._sets.items():
            if each.note:
                event("left_out", set=name, note=each.note)
        self.held_out = HeldOut({name: each.questions for name, each in self._sets.items()})

    def report(
        self, when: Literal["before", "after"], progress: TrainProgress
    ) -> Evaluation | None:
        """Evaluate on the report set; None without one. Afterwards every answer is kept."""
        if self._job.report is None:
            return None
        result = self._evaluate(self._sets["report"])
        self._event("eval", when=when, step=progress.step, **result.to_json(predictions=False))
        if when == "after":
            folder = self._job.out / EVALUATIONS
            write_record(folder, self._job.report.stem, self._sets["report"].questions, result)
        return result

    def select(self, progress: TrainProgress) -> None:
        """Evaluate this step on the select set, or start to, and keep its weights if it is the best
        so far."""
        progress.selected_at = progress.step
        if self._validator is None:
            result = self._evaluate(self._sets["select"])
            if self._record(progress, progress.step, result.to_json(predictions=False)):
                save_weights(self._job.out / BEST, self._student)
        else:
            save_weights(self._weights(progress.step), self._student)
            progress.validating.append(progress.step)
            self._validator.start(progress.step, self._weights(progress.step))

    def settle(self, progress: TrainProgress, wait: bool = False) -> bool:
        """Take in finished evaluations, in the order of their steps; returns whether there were
        any.

        `wait` waits for all of them. Raises StreamtrainError if an evaluation failed.
        """
        if self._validator is None:
            return False
        self._figures.update(self._validator.finished(wait))
        before = len(progress.validating)
        while progress.validating and progress.validating[0] in self._figures:
            step = progress.validating.pop(0)
            if self._record(progress, step, self._figures.pop(step)):
                copy_weights(self._weights(step), self._job.out / BEST)
        return len(progress.validating) < before

    def resume(self, progress: TrainProgress) -> None:
        """Restart the evaluations that a killed run was waiting for."""
        for step in progress.validating:
            if self._validator is not None:
                self._validator.start(step, self._weights(step))

    def sweep(self, progress: TrainProgress) -> None:
        """Remove weights that no evaluation waits for; call it once a checkpoint has recorded
        that."""
        waiting = {self._weights(step) for step in progress.validating}
        for weights in (self._job.out / VALIDATING).glob("step-*"):
            own = re.fullmatch(r"step-\d{8}", weights.name) and not weights.is_symlink()
            if own and weights not in waiting:
                shutil.rmtree(weights)

    def _record(self, progress: TrainProgress, step: int, figures: Mapping[str, Any]) -> bool:
        threshold = self._job.config.evaluate.threshold or 0.0
        best = progress.selection.see(figures["accuracy"], step, threshold)
        self._event("select", step=step, best=best, waited=progress.selection.waited, **figures)
        return best

    def _weights(self, step: int) -> Path:
        return self._job.out / VALIDATING / f"step-{step:08d}"

    def plateau(self, progress: TrainProgress) -> bool:
        """Tell whether the patience is used up."""
        patience = self._job.config.evaluate.patience
        return patience is not None and progress.selection.waited >= patience

    def finish(self, progress: TrainProgress) -> None:
        """Evaluate the last step too, and wait for all evaluations."""
        if self._job.select is not None and progress.selected_at != progress.step:
            self.select(progress)
        self.settle(progress, wait=True)

    def take_best(self, progress: TrainProgress) -> None:
        """Load the best step's weights into the student."""
        if self._job.select is None:
            return
        checkpoint.load_weights(self._job.out / BEST, self._student)
        self._event("selected", step=progress.selection.step, accuracy=progress.selection.best)

    def _evaluate(self, held_out: HeldOutFile) -> Evaluation:
        return evaluate_held_out(self._student, self._tokenizer, held_out, self._job.config.data)
