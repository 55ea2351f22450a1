"""What `finish` merges: scans open few files, and nobody who follows or resumes notices."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from deltalake import DeltaTable

from raygen.dataset.call_cache import read_recorded_calls
from raygen.dataset.commit import Committer
from raygen.dataset.delta import GuardedTable
from raygen.dataset.follow import Follower
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError, FencedError
from raygen.dataset.schema import example_schema
from raygen.dataset.storage import Folder
from tests.support.dataset_records import COLUMNS, block, committer, contents

GROUPS = 6
TABLES = ("rows", "examples", "transcripts")
KEYS = sorted(f"k{group:02}-{row}" for group in range(GROUPS) for row in range(2))
STORED = Path(__file__).parents[3] / "data" / "dataset-0.1.0" / "out"


@pytest.fixture(autouse=True)
def few_are_many(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few files are many enough to be merged."""
    monkeypatch.setattr("raygen.dataset.delta._MANY_FILES", GROUPS)


@pytest.fixture(scope="module")
def unfinished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset of many small groups whose run has yet to finish."""
    folder = Folder.at(tmp_path_factory.mktemp("unfinished") / "out")
    run = committer(folder, source=len(KEYS))
    for group in range(GROUPS):
        run.commit([block(folder, [key]) for key in KEYS[2 * group : 2 * group + 2]])
    return Path(folder.uri)


@pytest.fixture
def folder(unfinished: Path, tmp_path: Path) -> Folder:
    shutil.copytree(unfinished, tmp_path / "out")
    return Folder.at(tmp_path / "out")


def active(folder: Folder, table: str) -> set[str]:
    return {Path(uri).name for uri in DeltaTable(folder.join(table)).file_uris()}


def on_disk(folder: Folder, table: str) -> set[str]:
    return {Path(path).name for path in folder.files(table)}


def handed_out(follower: Follower) -> list[tuple[int, list[str]]]:
    """The version and the ids of each commit that is new."""
    commits = follower.poll()
    assert not any(commit.removed for commit in commits)
    return [(c.version, follower.read(c, ["id"])["id"].to_pylist()) for c in commits]


def test_a_finished_dataset_is_scanned_in_few_files_and_holds_the_same(folder: Folder) -> None:
    before, hashed = contents(folder), Dataset(folder).content_hash("plan-a")
    small = {table: on_disk(folder, table) for table in TABLES}
    assert all(len(active(folder, table)) >= GROUPS for table in TABLES)
    committer(folder, "run-2", source=len(KEYS)).finish("end")
    assert {table: len(active(folder, table)) for table in TABLES} == dict.fromkeys(TABLES, 1)
    assert contents(folder) == before
    assert Dataset(folder).content_hash("plan-a") == hashed
    status = Dataset(folder).status()
    assert (status.kept, status.pending, status.ended) == (len(KEYS), 0, "end")
    assert all(on_disk(folder, table) > small[table] for table in TABLES), "followers read these"


def test_a_follower_in_the_middle_and_one_from_the_start_see_what_was_committed(
    folder: Folder,
) -> None:
    all_commits = handed_out(Follower(folder))
    middle = all_commits[GROUPS // 2][0]
    waiting = Follower(folder, after_version=middle)
    at_the_end = Follower(folder)
    assert handed_out(at_the_end) == all_commits
    listed = Follower(folder)
    unread = listed.poll()
    committer(folder, "run-2").finish("end")
    assert handed_out(waiting) == all_commits[GROUPS // 2 + 1 :]
    assert handed_out(at_the_end) == []
    assert at_the_end.state().ended
    assert [listed.read(c, ["id"])["id"].to_pylist() for c in unread] == [r for _, r in all_commits]
    assert handed_out(Follower(folder)) == all_commits, "in the same order, read once more"


def test_the_next_run_goes_on_sweeps_nothing_of_it_and_is_followed(folder: Folder) -> None:
    follower = Follower(folder)
    handed_out(follower)
    committer(folder, "run-2").finish("stopped")
    files = {table: on_disk(folder, table) for table in TABLES}
    run = committer(folder, "run-3")
    assert {table: on_disk(folder, table) for table in TABLES} == files
    assert run.commit([block(folder, [KEYS[0]])]) == ()
    run.commit([block(folder, ["new"])])
    assert [ids for _, ids in handed_out(follower)] == [["new-0", "new-1"]]
    assert contents(folder)[0] == sorted([*KEYS, "new"])


def test_calls_recorded_before_are_found_after_an_edit(folder: Folder) -> None:
    committer(folder, "run-2").finish("end")
    edited = committer(folder, "run-3", "plan-b")
    files = Dataset(folder).transcript_files(edited.recorded)
    assert sorted(files) == KEYS
    for key in (KEYS[0], KEYS[-1]):
        recorded = read_recorded_calls([folder], files[key], [key])
        assert [call.prompt for call in recorded[key][f"call-{key}"]] == [f"Why {key}?"]
    edited.commit([block(folder, ["b"], "plan-b")])
    assert contents(folder) == (["b"], ["b", "b"], ["b"])
    assert Follower(folder).poll()[0].rows == 2


def test_few_files_are_left_as_they_are(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path / "out")
    run = committer(folder)
    run.commit([block(folder, ["a"]), block(folder, ["b"])])
    run.finish("end")
    assert len(active(folder, "examples")) == 2


def test_vacuum_as_it_is_by_default_removes_nothing(folder: Folder) -> None:
    committer(folder, "run-2").finish("end")
    for table in TABLES:
        assert DeltaTable(folder.join(table)).vacuum(dry_run=True) == []


def test_a_table_of_an_older_raygen_whose_files_a_vacuum_may_remove_is_not_merged(
    tmp_path: Path,
) -> None:
    shutil.copytree(STORED, tmp_path / "out")
    folder = Folder.at(tmp_path / "out")
    run = committer(folder, "run-2", "plan-b")
    for key in KEYS[:GROUPS]:
        run.commit([block(folder, [key], "plan-b")])
    run.finish("end")
    assert len(active(folder, "examples")) == GROUPS


def test_a_merge_that_fails_is_no_fault_of_the_run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(self: GuardedTable) -> None:
        raise DatasetError("no space left on device")

    monkeypatch.setattr(GuardedTable, "compact", full)
    committer(folder, "run-2").finish("end")
    assert Follower(folder).state().ended
    assert "no space left on device" in caplog.text
    assert len(active(folder, "examples")) == 2 * GROUPS


def test_a_driver_that_started_before_the_merge_goes_on_after_it(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    newer: list[Committer] = []
    real = GuardedTable.compact

    def overtaken(self: GuardedTable) -> None:
        if not newer:
            newer.append(committer(folder, "run-3"))
        real(self)

    monkeypatch.setattr(GuardedTable, "compact", overtaken)
    committer(folder, "run-2").finish("end")
    assert len(newer[0].commit([block(folder, ["new"])])) == 1
    assert contents(folder)[1] == sorted(2 * [*KEYS, "new"])
    committer(folder, "run-4")
    with pytest.raises(FencedError):
        newer[0].commit([block(folder, ["other"])])


def test_a_merge_after_a_newer_drivers_commit_is_refused(
    folder: Folder,
) -> None:
    table = GuardedTable(folder, "examples", example_schema(COLUMNS))
    committer(folder, "run-2").commit([block(folder, ["new"])])
    with pytest.raises(FencedError):
        table.compact()
    assert contents(folder)[1] == sorted(2 * [*KEYS, "new"])
