"""What a session shows: what its workers did stays in view while the student trains."""

from __future__ import annotations

from pathlib import Path

from raygen.apply.request import ApplyRequest, UserSession
from raygen.apply.session import Session
from raygen.core.process import Interrupts
from raygen.dataset.storage import Folder
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.runtime.counts import NodeCount, Snapshot
from raygen.runtime.worker_stats import WorkerStats
from raygen.sources import key_source
from raygen.trainer.metrics import TrainerState
from tests.support.small_datasets import QUIZ, questions, write_recipe


class Shown:
    """Fake: somebody who watches an apply and remembers what was shown."""

    def __init__(self) -> None:
        self.moments: list[Snapshot] = []

    def confirm(self, question: str) -> bool:
        return True

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        self.moments.append(snapshot)

    def note(self, message: str) -> None:
        pass


def test_what_the_workers_did_stays_in_view_when_they_are_gone(tmp_path: Path) -> None:
    reference = RecipeRequest(write_recipe(tmp_path, QUIZ, questions(3)))
    prepared = prepare(reference)
    folder = Folder.at(prepared.output)
    source = key_source(prepared.recipe.source, prepared.plan.task, tmp_path, folder)
    ui = Shown()
    watch = UserSession(ui, Interrupts(), 0.0)
    session = Session(ApplyRequest(reference), prepared, folder, source, None, watch)
    node = prepared.plan.nodes[0].name
    live = WorkerStats("running", running=2, nodes={node: [3, 5, 1, 3]}, paid={"teacher": (7, 11)})
    session._show("generating", [live])
    session._show("training")
    generating, training = ui.moments
    assert (generating.running, training.running) == (2, 0)
    assert training.nodes[node] == generating.nodes[node] == NodeCount(3, 5, 1, 3)
    assert (training.prompt_tokens, training.output_tokens) == (7, 11)
