"""--calls: another dataset's recorded calls are reused, and it is only read."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from raygen.apply.other_calls import find_calls, open_others
from raygen.apply.request import ApplyRequest, UserSession
from raygen.apply.session import Session
from raygen.core.errors import UserError
from raygen.core.process import Interrupts
from raygen.dataset.call_cache import TranscriptFile, read_recorded_calls
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.sources import key_source
from raygen.views.summary import RunSummary
from tests.support.local_run import LocalRuntime
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe
from tests.unit.raygen.apply.test_session import Shown


class Noting(Shown):
    """Remembers the notes."""

    def __init__(self) -> None:
        super().__init__()
        self.notes: list[str] = []

    def note(self, message: str) -> None:
        self.notes.append(message)


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished dataset of three samples for each of four questions."""
    return make_dataset(write_recipe(tmp_path_factory.mktemp("other"), QUIZ, questions(4)))


def run(recipe: Path, calls: tuple[str, ...], ui: Shown) -> RunSummary:
    reference = RecipeRequest(recipe)
    prepared = prepare(reference)
    folder = Folder.at(prepared.output)
    source = key_source(prepared.recipe.source, prepared.plan.task, recipe.parent, folder)
    request = ApplyRequest(reference, calls=calls)
    watch = UserSession(ui, Interrupts(), 0.0)
    return Session(request, prepared, folder, source, None, watch, LocalRuntime).run()


def contents(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_run_reuses_the_samples_of_another_dataset_and_only_reads_it(
    tmp_path: Path, other: Path
) -> None:
    before = contents(other)
    more = QUIZ.replace("n: 3", "n: 5")
    ui = Noting()
    summary = run(write_recipe(tmp_path, more, questions(6)), (str(other),), ui)
    assert (summary.outcome, summary.pending, summary.reused) == ("done", 0, 4)
    assert any("4 of 6 rows have calls in" in note for note in ui.notes)
    calls = Dataset(Folder.at(summary.dataset)).transcripts().collect()
    asked = [json.loads(text)["n"] for text in calls.filter(~calls["reused"])["sampling"]]
    assert sorted(asked) == [2, 2, 2, 2, 5, 5], "two more for the four, five for the new rows"
    assert contents(other) == before


def test_a_dataset_without_the_rows_is_said_to_help_nothing(tmp_path: Path, other: Path) -> None:
    ui = Noting()
    rows = [{**row, "question": f"Now {row['question']}"} for row in questions(2)]
    summary = run(write_recipe(tmp_path, QUIZ, rows), (str(other),), ui)
    assert (summary.kept + summary.dropped, summary.reused) == (2, 0)
    assert any("none can be reused" in note for note in ui.notes)


def test_a_folder_without_a_dataset_and_the_dataset_itself_are_refused(
    tmp_path: Path, other: Path
) -> None:
    with pytest.raises(DatasetError, match="no dataset in"):
        open_others([str(tmp_path)], Folder.at(tmp_path / "out"))
    (tmp_path / "link").symlink_to(other)
    with pytest.raises(UserError, match="whose calls are reused anyway"):
        open_others([str(other)], Folder.at(tmp_path / "link"))


def test_names_and_links_of_a_stranger_lead_to_no_file_elsewhere(
    tmp_path: Path, other: Path
) -> None:
    folder = Folder.at(shutil.copytree(other, tmp_path / "other"))
    outside = tmp_path / "outside.parquet"
    (path,) = (tmp_path / "other" / "transcripts").glob("*.parquet")
    shutil.copy(path, outside)
    (key, (file,)) = next(iter(find_calls([folder]).items()))
    with pytest.raises(DatasetError, match="leads out of"):
        read_recorded_calls([folder], [TranscriptFile("../../outside.parquet")], [key])
    path.unlink()
    path.symlink_to(outside)
    with pytest.raises(DatasetError, match="is a link to"):
        read_recorded_calls([folder], [replace(file, dataset=0)], [key])


@pytest.mark.parametrize("completions", ["[5]", "{", '[{"text": 5, "output_tokens": 1}]', "null"])
def test_calls_that_no_raygen_recorded_are_one_error(
    tmp_path: Path, other: Path, completions: str
) -> None:
    folder = Folder.at(shutil.copytree(other, tmp_path / "other"))
    (key, (file,)) = next(iter(find_calls([folder]).items()))
    path = tmp_path / "other" / "transcripts" / file.path
    table = pq.read_table(path)
    index = table.schema.get_field_index("completions")
    broken = table.set_column(index, "completions", [[completions] * table.num_rows])
    pq.write_table(broken, path)
    with pytest.raises(DatasetError, match="as raygen writes them"):
        read_recorded_calls([folder], [replace(file, dataset=0)], [key])


def test_a_dataset_that_a_worker_does_not_see_is_an_error_and_not_paid_again(
    tmp_path: Path,
) -> None:
    with pytest.raises(DatasetError, match="can't read the transcript"):
        read_recorded_calls([Folder.at(tmp_path / "none")], [TranscriptFile("a.parquet")], ["k"])
