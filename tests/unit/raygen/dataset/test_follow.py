from __future__ import annotations

from pathlib import Path

import pytest

from raygen.dataset.follow import Follower
from raygen.dataset.storage import Folder
from tests.support.dataset_records import block, committer


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "out")


def test_nothing_yet(folder: Folder) -> None:
    follower = Follower(folder)
    assert follower.poll() == []
    state = follower.state()
    assert not state.ended
    assert state.plan_hash is None
    assert state.beat is None


def test_commits_come_once_and_in_order(folder: Folder) -> None:
    follower = Follower(folder)
    run = committer(folder)
    assert follower.poll() == []
    run.commit([block(folder, ["a"]), block(folder, ["b"])])
    first = follower.poll()
    run.commit([block(folder, ["c"], status="dropped")])
    run.commit([block(folder, ["d"])])
    run.commit([block(folder, ["e"])])
    rest = follower.poll()
    assert follower.poll() == []
    assert [commit.rows for commit in first + rest] == [4, 2, 2]
    versions = [commit.version for commit in first + rest]
    assert versions == sorted(set(versions))
    assert not any(commit.removed for commit in first + rest)
    paths = [file.path for file in first[0].files]
    assert paths == sorted(paths)
    assert len(paths) == 2
    keys = [follower.read(commit)["key"].to_pylist() for commit in rest]
    assert keys == [["d", "d"], ["e", "e"]]


def test_a_commit_reads_the_same_every_time_in_path_order(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, [letter]) for letter in "abcdef"])
    commit = Follower(folder).poll()[0]
    rows = Follower(folder).read(commit, ["id", "question"])
    assert rows.column_names == ["id", "question"]
    by_file = [
        folder.read_parquet(f"examples/{file.path}")["id"].to_pylist() for file in commit.files
    ]
    assert rows["id"].to_pylist() == [row for file in by_file for row in file]


def test_a_cursor_goes_on_where_it_stood(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    first = Follower(folder)
    first.poll()
    run.commit([block(folder, ["b"])])
    second = Follower(folder, after_version=first.version)
    assert [second.read(commit)["key"][0].as_py() for commit in second.poll()] == ["b"]


def test_a_replacement_is_shown_to_those_who_saw_the_old_rows(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    follower = Follower(folder)
    seen = follower.poll()
    run = committer(folder, "run-2", "plan-b")
    run.commit([block(folder, ["b"], "plan-b")])
    run.commit([block(folder, ["c"], "plan-b")])
    assert [commit.removed for commit in follower.poll()] == [True, False]
    resumed = Follower(folder, after_version=seen[-1].version)
    assert [commit.removed for commit in resumed.poll()] == [True, False]
    late = Follower(folder)
    commits = late.poll()
    assert [commit.removed for commit in commits] == [False, False]
    assert [late.read(commit)["key"][0].as_py() for commit in commits] == ["b", "c"]


def test_a_replacement_without_examples_leaves_a_new_reader_nothing(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    follower = Follower(folder)
    follower.poll()
    run = committer(folder, "run-2", "plan-b")
    run.commit([block(folder, ["b"], "plan-b", status="dropped")])
    assert [(commit.removed, commit.rows) for commit in follower.poll()] == [(True, 0)]
    assert Follower(folder).poll() == []


def test_the_state_follows_the_newest_run(folder: Folder) -> None:
    follower = Follower(folder)
    run = committer(folder)
    state = follower.state()
    assert (state.ended, state.reason, state.run, state.plan_hash) == (
        False,
        None,
        "run-1",
        "plan-a",
    )
    assert state.beat is not None
    assert follower.state().beat == state.beat
    run.commit([block(folder, ["a"])])
    assert not follower.state().ended
    run.finish("stopped")
    assert (follower.state().ended, follower.state().reason) == (True, "stopped")
    assert Follower(folder).state().ended
    committer(folder, "run-2", "plan-b")
    assert not follower.state().ended
    assert follower.state().plan_hash == "plan-b"
