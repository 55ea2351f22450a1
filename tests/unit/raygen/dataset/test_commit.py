from __future__ import annotations

import json
import os
import shutil
import threading
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.row import ColumnType
from raygen.dataset.commit import Committer
from raygen.dataset.control_files import request_stop, stop_reason
from raygen.dataset.delta import GuardedTable
from raygen.dataset.follow import Follower
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError, FencedError, Reported, WrittenBlock
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from tests.support.dataset_records import COLUMNS, block, call, committer, contents, result
from tests.support.generated import fewer_examples


class CrashError(Exception):
    """The process dies here."""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "out")


def die_at(monkeypatch: pytest.MonkeyPatch, table: str, after: bool) -> None:
    """Make the next commit to a table die before or right after it took effect."""
    real = GuardedTable.commit

    def commit(self: GuardedTable, *args: object, **kwargs: object) -> None:
        if self.name != table:
            return real(self, *args, **kwargs)  # type: ignore[arg-type]
        if after:
            real(self, *args, **kwargs)  # type: ignore[arg-type]
        raise CrashError

    monkeypatch.setattr(GuardedTable, "commit", commit)


def files_in(folder: Folder, table: str) -> set[str]:
    return {Path(path).name for path in folder.files(table)}


def backdate(folder: Folder, at: int = 1) -> None:
    """Let every file have been written at another Unix time: 1970, or what a wrong clock says."""
    for path in Path(folder.uri).rglob("*.*"):
        if path.is_file():
            os.utime(path, (at, at))


def test_a_group_spans_the_three_tables(folder: Folder) -> None:
    run = committer(folder)
    lines = run.commit([block(folder, ["a", "b"]), block(folder, ["c"], status="dropped")])
    assert [line.key for line in lines] == ["a", "b", "c"]
    assert contents(folder) == (
        ["a", "b", "c"],
        ["a", "a", "b", "b"],
        ["a", "b", "c"],
    )
    ledger = Dataset(folder).ledger().filter(key="c").collect().row(0, named=True)
    assert ledger["run"] == "run-1"
    assert ledger["plan"] == "plan-a"
    assert ledger["rejects"] == [{"node": "think", "reason": "wrong_answer", "detail": "of c"}]
    assert folder.exists(f"transcripts/{ledger['transcript']}")


def test_logs_are_never_cleaned_up(folder: Folder) -> None:
    committer(folder)
    for table in ("rows", "examples", "transcripts"):
        configuration = DeltaTable(folder.join(table)).metadata().configuration
        assert configuration["delta.enableExpiredLogCleanup"] == "false"


def test_a_resumed_run_knows_what_is_done(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    again = committer(folder, "run-2")
    assert again.commit([block(folder, ["a"])]) == ()
    assert len(again.commit([block(folder, ["b"])])) == 1
    assert contents(folder)[0] == ["a", "b"]
    assert Dataset(folder).done("plan-a") == {"a": "kept", "b": "kept"}
    assert Dataset(folder).done("plan-b") == {}


def test_what_providers_report_adds_up_over_runs(folder: Folder) -> None:
    def paid(key: str, *answers: dict[str, Any]) -> WrittenBlock:
        told = replace(call(key), completions=json.dumps(answers))
        return write_block(folder, [result(key, calls=(told,))], "plan-a", COLUMNS)

    first = committer(folder)
    first.commit([paid("a", {"text": "x", "cached_tokens": 3, "cost": 0.5}, {"text": "y"})])
    first.finish("stopped")
    second = committer(folder)
    second.commit([paid("b", {"cached_tokens": 4, "cost": 0.25}), paid("c", {"text": "z"})])
    second.commit([paid("d", {"counted_by": "estimate"})])
    second.commit([paid("e", {"thinking_tokens": 8}, {"thinking_tokens": 2}, {"text": "x"})])
    told = Dataset(folder).status().reported
    assert told == {"teacher": Reported(7, 0.75, estimated=15, thinking=10)}
    assert second.reported == told


def test_a_duplicate_block_is_ignored(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a", "b"]), block(folder, ["a", "b"])])
    version = DeltaTable(folder.join("rows")).version()
    assert run.commit([block(folder, ["a", "b"])]) == ()
    assert DeltaTable(folder.join("rows")).version() == version
    assert contents(folder) == (["a", "b"], ["a", "a", "b", "b"], ["a", "b"])


def test_a_block_that_is_new_in_part_gives_only_its_new_rows(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a", "b"])])
    lines = run.commit([block(folder, ["b", "c"])])
    assert [line.key for line in lines] == ["c"]
    assert lines[0].transcript is not None
    assert folder.read_parquet(f"transcripts/{lines[0].transcript}")["key"].to_pylist() == ["c"]
    assert contents(folder) == (["a", "b", "c"], ["a", "a", "b", "b", "c", "c"], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("table", "after"),
    [
        ("rows", True),
        ("transcripts", False),
        pytest.param("rows", False, marks=pytest.mark.slow),
        pytest.param("examples", False, marks=pytest.mark.slow),
        pytest.param("examples", True, marks=pytest.mark.slow),
        pytest.param("transcripts", True, marks=pytest.mark.slow),
    ],
)
def test_a_crash_at_any_commit_is_rolled_forward(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, table: str, after: bool
) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    with monkeypatch.context() as patch:
        die_at(patch, table, after)
        with pytest.raises(CrashError):
            run.commit([block(folder, ["b", "c"])])
    committed = table != "rows" or after
    assert Dataset(folder).ledger().collect().height == (3 if committed else 1)
    backdate(folder)
    again = committer(folder, "run-2")
    expected = ["a", "b", "c"] if committed else ["a"]
    doubled = sorted(expected * 2)
    assert contents(folder) == (expected, doubled, expected)
    again.commit([block(folder, ["b", "c", "d"])])
    assert contents(folder)[0] == ["a", "b", "c", "d"]
    assert contents(folder)[1] == sorted(list("abcd") * 2)


@pytest.mark.parametrize(
    "table",
    [
        "rows",
        pytest.param("examples", marks=pytest.mark.slow),
        pytest.param("transcripts", marks=pytest.mark.slow),
    ],
)
def test_a_crash_in_the_first_commit_of_a_new_plan_is_rolled_forward(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, table: str
) -> None:
    committer(folder).commit([block(folder, ["a"])])
    changed: dict[str, ColumnType] = {"note": "string"}
    with monkeypatch.context() as patch:
        run = committer(folder, "run-2", "plan-b", columns=changed)
        die_at(patch, table, True)
        new = write_block(folder, [result("z", calls=())], "plan-b", changed)
        with pytest.raises(CrashError):
            run.commit([new])
    committer(folder, "run-3", "plan-b", columns=changed)
    assert contents(folder) == (["z"], ["z", "z"], [])


def test_a_rolled_forward_group_is_not_applied_twice(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = committer(folder)
    with monkeypatch.context() as patch:
        die_at(patch, "examples", False)
        with pytest.raises(CrashError):
            run.commit([block(folder, ["a"])])
    committer(folder, "run-2")
    version = DeltaTable(folder.join("examples")).version()
    committer(folder, "run-3")
    assert DeltaTable(folder.join("examples")).version() == version


def test_the_older_of_two_drivers_is_fenced_off(folder: Folder) -> None:
    older = committer(folder, "run-1")
    older.commit([block(folder, ["a"])])
    newer = committer(folder, "run-2")
    with pytest.raises(FencedError, match="another run writes to"):
        older.commit([block(folder, ["b"])])
    with pytest.raises(DatasetError, match="no longer writes"):
        older.commit([block(folder, ["b"])])
    assert len(newer.commit([block(folder, ["b"])])) == 1
    committer(folder, "run-3")
    with pytest.raises(FencedError):
        newer.finish("end")
    assert contents(folder)[0] == ["a", "b"]


def test_a_driver_fenced_between_its_tables_leaves_one_copy(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    older = committer(folder, "run-1")
    real = GuardedTable.commit
    started: list[bool] = []

    def commit(self: GuardedTable, *args: object, **kwargs: object) -> None:
        if self.name == "examples" and not started:
            started.append(True)
            committer(folder, "run-2")
        real(self, *args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(GuardedTable, "commit", commit)
    with pytest.raises(FencedError):
        older.commit([block(folder, ["a"])])
    assert contents(folder) == (["a"], ["a", "a"], ["a"])


@pytest.mark.parametrize(
    "clock",
    [pytest.param(1, id="past", marks=pytest.mark.slow), pytest.param(2**33, id="future")],
)
def test_a_start_sweeps_what_no_commit_names_and_nothing_else_whatever_the_clock_says(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, clock: int
) -> None:
    """A newer driver's workers write while the older one still starts."""
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    named = {table: files_in(folder, table) for table in ("rows", "examples", "transcripts")}
    orphan = block(folder, ["b"])
    rows = Path(folder.uri) / "rows"
    (rows / f".{'ab' * 16}.parquet.01234567.tmp").write_bytes(b"x")
    assert orphan.examples is not None
    backdate(folder, clock)
    young: list[WrittenBlock] = []
    newer: list[Committer] = []
    real = Committer._roll_forward

    def overtaken(self: Committer) -> None:
        if not newer:
            newer.append(self)
            newer.append(committer(folder, "run-3"))
            young.append(block(folder, ["c"]))
            backdate(folder, 1)
        real(self)

    monkeypatch.setattr(Committer, "_roll_forward", overtaken)
    committer(folder, "run-2")
    assert files_in(folder, "rows") == named["rows"]
    assert young[0].examples is not None
    assert files_in(folder, "examples") == named["examples"] | {young[0].examples.path}
    newer[1].commit(young)
    assert contents(folder)[1] == ["a", "a", "c", "c"]


def test_an_end_sweeps_what_a_killed_worker_left(folder: Folder) -> None:
    run = committer(folder)
    lost = block(folder, ["a"])  # its worker was killed before the driver knew of it
    kept = block(folder, ["a"])
    run.commit([kept])
    assert lost.examples is not None
    assert kept.examples is not None
    assert lost.examples.path in files_in(folder, "examples")
    run.finish("end")
    assert files_in(folder, "examples") == {kept.examples.path}
    assert contents(folder) == (["a"], ["a", "a"], ["a"])


def test_an_end_sweeps_nothing_of_a_newer_driver(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    newer = committer(folder, "run-2")
    young = [block(folder, ["b"])]
    with pytest.raises(FencedError):
        run.finish("end")
    assert newer.commit(young)
    real = GuardedTable.commit

    def overtaken(self: GuardedTable, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        monkeypatch.undo()
        after.append(committer(folder, "run-3"))
        young.append(block(folder, ["c"]))

    after: list[Committer] = []
    monkeypatch.setattr(GuardedTable, "commit", overtaken)
    newer.finish("end")
    assert after[0].commit(young[1:])
    assert contents(folder)[0] == ["a", "b", "c"]


def test_a_sweep_that_fails_at_the_end_is_no_fault_of_the_run(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = committer(folder)
    block(folder, ["a"])
    run.commit([block(folder, ["a"])])

    def forbidden(self: Folder, path: str) -> None:
        raise PermissionError(13, "no right to delete", path)

    monkeypatch.setattr(Folder, "delete", forbidden)
    run.finish("end")
    assert Follower(folder).state().ended
    assert "no right to delete" in caplog.text


def test_a_start_sweeps_nothing_that_no_writer_names_so(folder: Folder, tmp_path: Path) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    examples = Path(folder.uri) / "examples"
    names = ("demo.py", "notes.parquet", ".env", ".half.tmp", "part-1.parquet", f"{'ab' * 16}.pq")
    for name in names:
        (examples / name).write_text("mine")
    (tmp_path / "mine.parquet").write_text("mine")
    (examples / f"{'cd' * 16}.parquet").symlink_to(tmp_path / "mine.parquet")
    (examples / f"{'ef' * 16}.parquet").write_text("of a worker that was killed")
    before = files_in(folder, "examples")
    committer(folder, "run-2")
    assert before - files_in(folder, "examples") == {f"{'ef' * 16}.parquet"}
    assert (tmp_path / "mine.parquet").read_text() == "mine"


def test_a_commit_whose_answer_was_lost_is_recognised_by_its_driver(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = committer(folder)
    real = DeltaTable.create_write_transaction
    lost: list[bool] = []

    def unanswered(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        real(self, *args, **kwargs)
        if len(lost) < 3:
            lost.append(True)
            raise OSError("Error performing PUT in 2ms - HTTP error: connection reset")

    monkeypatch.setattr(DeltaTable, "create_write_transaction", unanswered)
    assert len(run.commit([block(folder, ["a"])])) == 1
    assert len(lost) == 3
    assert contents(folder) == (["a"], ["a", "a"], ["a"])


def test_a_commit_whose_connection_broke_is_made_again_and_others_faults_are_not(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("raygen.dataset.storage._FIRST_WAIT_S", 0.001)
    run = committer(folder)
    real = DeltaTable.create_write_transaction
    faults = [OSError("Error performing PUT in 2ms - HTTP error: connection reset")] * 2
    tried: list[bool] = []

    def failing(self: DeltaTable, *args: Any, **kwargs: Any) -> None:
        tried.append(True)
        if faults:
            raise faults.pop()
        real(self, *args, **kwargs)

    monkeypatch.setattr(DeltaTable, "create_write_transaction", failing)
    assert len(run.commit([block(folder, ["a"])])) == 1
    assert len(tried) == 5
    faults.append(OSError("Access Denied"))
    with pytest.raises(DatasetError, match=r"can't commit .*Access Denied.*same command"):
        run.commit([block(folder, ["b"])])
    assert len(tried) == 6


def test_a_new_plan_takes_the_old_one_out_with_its_first_commit(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    old = files_in(folder, "examples")
    columns = {"question": "string", "score": "number"}
    run = committer(folder, "run-2", "plan-b", columns=columns)
    assert contents(folder)[0] == ["a"]
    run.commit([block(folder, ["b"], "plan-b", columns=columns)])
    assert contents(folder) == (["b"], ["b", "b"], ["b"])
    assert list(Dataset(folder).examples().collect_schema()) == [
        *("id", "key", "plan", "node"),
        *columns,
    ]
    run.commit([block(folder, ["c"], "plan-b", columns=columns)])
    assert contents(folder)[0] == ["b", "c"]
    backdate(folder)
    committer(folder, "run-3", "plan-b", columns=columns)
    assert old <= files_in(folder, "examples")
    before = Dataset(folder).examples(version=1).collect()
    assert before["key"].to_list() == ["a", "a"]


def test_fresh_starts_over_with_the_first_commit(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a", "b"])])
    run = committer(folder, "run-2", fresh=True)
    assert len(run.commit([block(folder, ["a"])])) == 1
    assert contents(folder) == (["a"], ["a", "a"], ["a"])


def test_nothing_is_committed_after_the_end(folder: Folder) -> None:
    run = committer(folder)
    run.finish("end")
    with pytest.raises(DatasetError, match="apply again"):
        run.commit([block(folder, ["a"])])


def test_a_block_of_another_plan_is_refused(folder: Folder) -> None:
    run = committer(folder)
    with pytest.raises(ValueError, match="plan-b"):
        run.commit([block(folder, ["a"], "plan-b")])


def test_a_start_forgets_an_old_wish_to_stop(folder: Folder) -> None:
    committer(folder)
    request_stop(folder, "plateau")
    assert stop_reason(folder) == "plateau"
    committer(folder, "run-2")
    assert stop_reason(folder) is None


def test_a_lost_folder_is_a_clear_error(folder: Folder) -> None:
    run = committer(folder)
    shutil.rmtree(folder.uri)
    Path(folder.uri).write_text("in the way")
    elsewhere = Folder.at(folder.uri + "-other")
    with pytest.raises(DatasetError, match=r"can't write \d+ bytes in .*same command"):
        run.commit([block(elsewhere, ["a"])])


def test_another_format_is_refused(folder: Folder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("raygen.dataset.commit.FORMAT_VERSION", 99)
    committer(folder)
    monkeypatch.undo()
    with pytest.raises(DatasetError, match="dataset format 99"):
        committer(folder, "run-2")


def test_readers_see_whole_groups_while_a_driver_commits(folder: Folder) -> None:
    run = committer(folder)
    blocks = [block(folder, [f"{i}-{j}" for j in range(4)]) for i in range(5)]
    seen: list[int] = []
    errors: list[Exception] = []
    done = threading.Event()

    def read() -> None:
        try:
            while not done.is_set():
                seen.append(Dataset(folder).examples().collect().height)
                Dataset(folder).status()
        except Exception as error:  # noqa: BLE001 - handed to the test
            errors.append(error)

    reader = threading.Thread(target=read)
    reader.start()
    for one in blocks:
        run.commit([one])
    done.set()
    reader.join()
    assert errors == []
    assert all(height % 8 == 0 for height in seen)
    assert seen == sorted(seen)
    assert Dataset(folder).examples().collect().height == 40


@fewer_examples(6)
@given(
    steps=st.lists(
        st.tuples(
            st.sets(st.sampled_from("abcdefgh"), min_size=1),
            st.sampled_from(["run", "restart", "rows", "examples", "transcripts"]),
        ),
        max_size=4,
    )
)
def test_any_history_of_crashes_and_retries_gives_every_row_once(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[set[str], str]]
) -> None:
    folder = Folder.at(tmp_path_factory.mktemp("out"))
    run = committer(folder, "run-0")
    follower = Follower(folder)
    followed: list[str] = []
    for number, (keys, event) in enumerate(steps):
        made = block(folder, sorted(keys))
        if event == "run":
            run.commit([made])
        else:
            with pytest.MonkeyPatch.context() as patch:
                if event != "restart":
                    die_at(patch, event, after=number % 2 == 0)
                    with suppress(CrashError):
                        run.commit([made])
            run = committer(folder, f"run-{number + 1}")
        followed += _keys(follower)
    run.commit([block(folder, list("abcdefgh"))])
    followed += _keys(follower)
    every = list("abcdefgh")
    assert contents(folder) == (every, sorted(every * 2), every)
    assert sorted(followed) == sorted(every * 2)


def _keys(follower: Follower) -> list[str]:
    return [key for c in follower.poll() for key in follower.read(c, ["key"])["key"].to_pylist()]
