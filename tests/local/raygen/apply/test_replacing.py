"""After an edit: what was made of the old rows stays until the first new ones are there."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.apply.replacing import MARK, begin_replacing, end_earlier_replacing
from raygen.apply.request import ApplyRequest, UserSession
from raygen.apply.run import apply
from raygen.apply.session import Session
from raygen.core.errors import UserError
from raygen.core.process import Interrupts
from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.share.card import write_card
from raygen.sources import key_source
from raygen.trainer.student import students_of
from raygen.views.summary import RunSummary
from tests.support.local_run import LocalRuntime
from tests.support.small_datasets import QUIZ, questions, write_recipe
from tests.unit.raygen.apply.test_session import Shown
from tests.unit.raygen.runtime.test_driver import result

EDITED = QUIZ.replace("n: 3", "n: 3, temperature: 0.5")
AWAY = EDITED.replace(
    '- "Snow is', '- {match: "#", reply: {error: unavailable}}\n        - "Snow is'
)


class Asked(Shown):
    """Remembers the questions, and answers all alike."""

    def __init__(self, answer: bool) -> None:
        super().__init__()
        self.answer = answer
        self.questions: list[str] = []

    def confirm(self, question: str) -> bool:
        self.questions.append(question)
        return self.answer


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished dataset, its card and its recipe."""
    folder = tmp_path_factory.mktemp("finished")
    run(write_recipe(folder, QUIZ, questions(4)))
    write_card(Folder.at(folder / "out"))
    return folder


@pytest.fixture
def out(finished: Path, tmp_path: Path) -> Path:
    """A finished dataset with its card and a trained student."""
    shutil.copytree(finished, tmp_path, dirs_exist_ok=True)
    folder = tmp_path / "out"
    (folder / "student" / "checkpoints").mkdir(parents=True)
    (folder / "student" / "owner").write_text("0123456789ab")
    return folder


def run(recipe: Path, *, fresh: bool = False) -> RunSummary:
    """One session on the recipe, without Ray."""
    reference = RecipeRequest(recipe)
    prepared = prepare(reference)
    folder = Folder.at(prepared.output)
    source = key_source(prepared.recipe.source, prepared.plan.task, recipe.parent, folder)
    watch = UserSession(Shown(), Interrupts(), 0.0)
    request = ApplyRequest(reference, fresh=fresh)
    return Session(request, prepared, folder, source, None, watch, LocalRuntime).run()


def test_the_question_names_the_student_that_goes(tmp_path: Path, out: Path) -> None:
    recipe = write_recipe(tmp_path, EDITED, questions(4))
    ui = Asked(False)
    with pytest.raises(UserError, match="nothing was changed"):
        apply(ApplyRequest(RecipeRequest(recipe)), ui)
    with pytest.raises(UserError, match="nothing was changed"):
        apply(ApplyRequest(RecipeRequest(recipe), fresh=True), ui)
    goes = f"all of them, and the student trained on them ({out / 'student'})"
    assert f"The first new rows replace {goes}. Go on?" in ui.questions[0]
    assert ui.questions[1].endswith(f"Replace {goes}?")


def test_the_question_names_no_student_where_there_is_none(tmp_path: Path, out: Path) -> None:
    (out / "student" / "checkpoints").rmdir()
    ui = Asked(False)
    with pytest.raises(UserError):
        apply(ApplyRequest(RecipeRequest(write_recipe(tmp_path, EDITED, questions(4)))), ui)
    assert ui.questions[0].endswith("The first new rows replace all of them. Go on?")


@pytest.mark.parametrize("fresh", [False, True])
def test_a_run_that_makes_no_row_leaves_all_as_it_was(
    tmp_path: Path, out: Path, fresh: bool
) -> None:
    before = (out / "README.md").read_text(), (out / "plan.json").read_text()
    summary = run(write_recipe(tmp_path, AWAY, questions(4)), fresh=fresh)
    assert (summary.outcome, summary.kept) == ("failed", 0)
    assert ((out / "README.md").read_text(), (out / "plan.json").read_text()) == before
    assert [student.name for student in students_of(Folder.at(out), None)] == ["student"]
    assert Dataset(Folder.at(out)).extent()[0] == 4


def test_the_first_new_rows_take_the_students_and_the_card_with_them(
    tmp_path: Path, out: Path
) -> None:
    summary = run(write_recipe(tmp_path, EDITED, questions(4)))
    assert (summary.outcome, summary.pending) == ("done", 0)
    assert students_of(Folder.at(out), None) == []
    assert not (out / "README.md").exists(), "apply writes it anew"
    assert json.loads((out / "plan.json").read_text())["hash"] == summary.plan
    assert not (out / MARK).exists()


def test_what_a_kill_left_behind_goes_with_the_next_start(tmp_path: Path, out: Path) -> None:
    folder = Folder.at(out)
    plan = prepare(RecipeRequest(write_recipe(tmp_path, EDITED, questions(4)))).plan
    committer = Committer(folder, plan.hash, plan.columns, "run-2")
    committer.start({"source": 4})
    begin_replacing(folder, "run-2")
    lines = [replace(result(0, "dropped"), key="k")]
    committer.commit([write_block(folder, lines, plan.hash, plan.columns)])
    end_earlier_replacing(folder, None)  # the process was killed right after the commit
    assert students_of(folder, None) == []
    assert not (out / "README.md").exists()
    assert not (out / MARK).exists()


def test_a_kill_before_the_first_new_rows_costs_nothing(tmp_path: Path, out: Path) -> None:
    folder = Folder.at(out)
    plan = prepare(RecipeRequest(write_recipe(tmp_path, EDITED, questions(4)))).plan
    committer = Committer(folder, plan.hash, plan.columns, "run-2")
    committer.start({"source": 4})
    begin_replacing(folder, "run-2")
    end_earlier_replacing(folder, None)
    assert [student.name for student in students_of(folder, None)] == ["student"]
    assert (out / "README.md").exists()
    assert not (out / MARK).exists()
