"""What a run does with its held-out questions: reports, and selects its best step.

The set that selects a step is never the one that is reported. Knows nothing of the stream, of
ranks or of Ray.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from streamtrain import checkpoint
from streamtrain.batch import Encoder
from streamtrain.checkpoint import Progress
from streamtrain.config import Evaluate
from streamtrain.evaluate import evaluate
from streamtrain.evaluation import Evaluation
from streamtrain.job import BEST, Job
from streamtrain.overlap import HeldOut
from streamtrain.questions import Question, read_questions
from streamtrain.record import EVALUATIONS, write_record
from streamtrain.student import Student


def due_at(settings: Evaluate, step: int) -> bool:
    """Whether a step is one that the select set is asked after."""
    return settings.every is not None and step % settings.every == 0


class Judge:
    """The held-out sets of one run; `event` takes what happened. Only one rank has one."""

    def __init__(
        self, job: Job, student: Student, encoder: Encoder, event: Callable[..., None]
    ) -> None:
        """Raises InputError where a set can't be read."""
        self._job, self._student, self._encoder, self._event = job, student, encoder, event
        labels = job.config.data.labels or ()
        sets = {"report": job.report, "select": job.select}
        self._sets = {name: read_questions(p, labels) for name, p in sets.items() if p is not None}
        self.held_out = HeldOut(self._sets)

    def report(self, when: Literal["before", "after"], at: Progress) -> Evaluation | None:
        """The accuracy on the report set; None without one. Afterwards every answer is kept."""
        if self._job.report is None:
            return None
        result = self._ask(self._sets["report"])
        self._event("eval", when=when, step=at.step, **result.to_json(predictions=False))
        if when == "after":
            folder = self._job.out / EVALUATIONS
            write_record(folder, self._job.report.stem, self._sets["report"], result)
        return result

    def select(self, at: Progress) -> None:
        """Where this step is due or last, see whether it is the best so far, and keep it if so."""
        settings = self._job.config.evaluate
        result = self._ask(self._sets["select"])
        best = at.selection.see(result.accuracy, at.step, settings.threshold or 0.0)
        at.selected_at = at.step
        if best:
            checkpoint.save_weights(self._job.out / BEST, self._student)
        figures = result.to_json(predictions=False)
        self._event("select", step=at.step, best=best, waited=at.selection.waited, **figures)

    def plateau(self, at: Progress) -> bool:
        """Whether the patience is used up."""
        patience = self._job.config.evaluate.patience
        return patience is not None and at.selection.waited >= patience

    def take_best(self, at: Progress) -> None:
        """Put the best step's weights in place, the last step's own included in the choice."""
        if self._job.select is None:
            return
        if at.selected_at != at.step:
            self.select(at)
        checkpoint.load_weights(self._job.out / BEST, self._student)
        self._event("selected", step=at.selection.step, accuracy=at.selection.best)

    def _ask(self, questions: list[Question]) -> Evaluation:
        return evaluate(self._student, self._encoder, questions, self._job.config.data)
