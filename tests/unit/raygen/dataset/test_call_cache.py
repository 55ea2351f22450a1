"""Recorded calls: how transcripts are found after an edit or a retry, and what they answer."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import pytest

from raygen.dataset.call_cache import RecordedCalls, TranscriptFile, read_recorded_calls
from raygen.dataset.delta import GuardedTable
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError, FencedError
from raygen.dataset.storage import Folder
from tests.support.dataset_records import block, call, committer


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path / "out")


def files(folder: Folder, versions: tuple[int, ...]) -> dict[str, int]:
    """How many transcript files each row has."""
    return {k: len(v) for k, v in sorted(Dataset(folder).transcript_files(versions).items())}


def calls_of(folder: Folder, key: str, versions: tuple[int, ...]) -> list[str]:
    """The prompts of a row's recorded calls, newest first."""
    found = Dataset(folder).transcript_files(versions).get(key, ())
    recorded = read_recorded_calls([folder], found, [key]).get(key, {})
    return [call.prompt for calls in recorded.values() for call in calls]


def test_equal_calls_are_answered_in_turn_and_no_more_often() -> None:
    first, second = call("a"), replace(call("a"), prompt="again")
    answers = RecordedCalls({"call-a": [first, second]})
    assert [answers.take("call-a") for _ in range(3)] == [first, second, None]
    assert answers.take("call-b") is None


def test_only_the_calls_of_the_keys_are_read_and_a_lost_file_has_none(folder: Folder) -> None:
    run = committer(folder)
    (line, _) = run.commit([block(folder, ["a", "b"])])
    assert line.transcript is not None
    files = [TranscriptFile("gone.parquet"), TranscriptFile(line.transcript)]
    recorded = read_recorded_calls([folder], files, ["b", "c"])
    assert list(recorded) == ["b"]
    assert recorded["b"] == {"call-b": [call("b")]}


def test_a_new_plan_finds_the_old_ones_transcripts_also_after_kills(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a", "b", "c"])])
    first = committer(folder, "run-2", "plan-b").recorded
    assert files(folder, first) == {"a": 1, "b": 1, "c": 1}
    run = committer(folder, "run-3", "plan-b")
    assert run.recorded == first, "killed before its first commit"
    run.commit([block(folder, ["a"], "plan-b")])
    assert Dataset(folder).plans() == {"plan-b"}
    again = committer(folder, "run-4", "plan-b")
    assert again.recorded == first
    assert calls_of(folder, "b", again.recorded) == ["Why b?"]
    third = committer(folder, "run-5", "plan-c")
    assert files(folder, third.recorded) == {"a": 2, "b": 1, "c": 1}


def test_a_fresh_start_reuses_nothing_and_pays_anew(folder: Folder) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    assert run.paid == {"teacher": (10, 5)}
    fresh = committer(folder, "run-2", fresh=True)
    assert fresh.recorded == ()
    assert fresh.paid == {}, "a budget must not stop it for what it replaces"
    assert Dataset(folder).status().paid == run.paid, "the old rows are still there"
    fresh.commit([block(folder, ["a"])])
    assert fresh.paid == {"teacher": (10, 5)}
    assert committer(folder, "run-3").recorded == ()


def test_what_was_paid_survives_kills_edits_and_retries(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a", "b"])])
    run = committer(folder, "run-2", "plan-b")
    reused = replace(call("a"), reused=True)
    lines = run.commit([block(folder, ["a"], "plan-b", calls=(reused, call("a")))])
    assert (lines[0].calls, lines[0].reused, lines[0].saved_tokens) == (2, 1, 15)
    assert (lines[0].prompt_tokens, lines[0].output_tokens) == (10, 5)
    run.commit([block(folder, ["b"], "plan-b", status="failed")])
    run.requeue_failed(retryable=False)
    assert committer(folder, "run-3", "plan-b").paid == {"teacher": (40, 20)}
    status = Dataset(folder).status()
    assert status.paid == {"teacher": (40, 20)}
    assert (status.reused, status.saved_tokens) == (1, 15)


def test_failed_lines_leave_and_their_rows_are_pending_with_their_calls(folder: Folder) -> None:
    run = committer(folder, source=4)
    run.commit([block(folder, ["a"]), block(folder, ["b"], status="failed")])
    run.commit([block(folder, ["c", "d"], status="failed", retryable=True)])
    assert run.requeue_failed(retryable=True) == {"c", "d"}
    status = Dataset(folder).status()
    assert (status.kept, status.failed, status.pending) == (1, 1, 2)
    assert calls_of(folder, "c", run.recorded) == ["Why c?"]
    assert len(run.commit([block(folder, ["c"])])) == 1
    killed = committer(folder, "run-2", source=4)
    assert Dataset(folder).done("plan-a") == {"a": "kept", "b": "failed", "c": "kept"}
    assert calls_of(folder, "d", killed.recorded) == ["Why d?"], "also after a kill"
    assert killed.requeue_failed(retryable=False) == {"b"}
    assert killed.requeue_failed(retryable=False) == frozenset()
    killed.finish("end")
    assert Dataset(folder).status().pending == 2


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_lines_are_taken_back_loses_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    run = committer(folder)
    run.commit([block(folder, ["a"]), block(folder, ["b"], status="failed")])
    real = GuardedTable.delete

    def delete(self: GuardedTable, *args: object) -> None:
        if after:
            real(self, *args)  # type: ignore[arg-type]
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(GuardedTable, "delete", delete)
        with pytest.raises(KeyboardInterrupt):
            run.requeue_failed(retryable=False)
    with pytest.raises(DatasetError, match="no longer writes"):
        run.commit([block(folder, ["c"])])
    again = committer(folder, "run-2")
    assert Dataset(folder).done("plan-a") == (
        {"a": "kept"} if after else {"a": "kept", "b": "failed"}
    )
    again.requeue_failed(retryable=False)
    assert len(again.commit([block(folder, ["b"])])) == 1
    assert calls_of(folder, "b", again.recorded) == ["Why b?"]
    assert Dataset(folder).done("plan-a") == {"a": "kept", "b": "kept"}


def test_a_driver_that_is_fenced_off_takes_nothing_back(folder: Folder) -> None:
    older = committer(folder)
    older.commit([block(folder, ["a"], status="failed")])
    committer(folder, "run-2")
    with pytest.raises(FencedError):
        older.requeue_failed(retryable=False)
    assert Dataset(folder).done("plan-a") == {"a": "failed"}


def test_a_vacuumed_file_of_the_ledger_is_passed_over_and_the_others_are_read(
    folder: Folder,
) -> None:
    first = committer(folder)
    first.commit([block(folder, ["a"])])
    first.commit([block(folder, ["b"])])
    edited = committer(folder, "run-2", "plan-b")
    vacuumed, kept = folder.files("rows")
    key = folder.read_parquet(kept)["key"][0].as_py()
    folder.delete(vacuumed)
    assert files(folder, edited.recorded) == {key: 1}


def test_a_ledger_that_cannot_be_read_now_is_an_error_and_not_paid_for_again(
    folder: Folder,
) -> None:
    """A store's hiccup: here a link that leads back to itself."""
    committer(folder).commit([block(folder, ["a"])])
    edited = committer(folder, "run-2", "plan-b")
    (path,) = folder.files("rows")
    folder.delete(path)
    (Path(folder.uri) / path).symlink_to(Path(path).name)
    with pytest.raises(DatasetError, match=r"can't read .*same command"):
        Dataset(folder).transcript_files(edited.recorded)


def test_transcripts_of_a_replaced_plan_are_never_swept(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    run = committer(folder, "run-2", "plan-b")
    run.commit([block(folder, ["b"], "plan-b")])
    for path in (Path(folder.uri) / "transcripts").glob("*.parquet"):
        os.utime(path, (1, 1))
    last = committer(folder, "run-3", "plan-b")
    assert calls_of(folder, "a", last.recorded) == ["Why a?"]
