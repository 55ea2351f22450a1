"""Datasets of format 2, as raygen 0.1.0 wrote them: read as they are, and resumed as format 3."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.dataset.delta import GuardedTable
from raygen.dataset.follow import Follower
from raygen.dataset.log import last_record
from raygen.dataset.reader import Dataset
from raygen.dataset.records import FORMAT_VERSION, FencedError
from raygen.dataset.schema import LEDGER
from raygen.dataset.storage import Folder
from tests.support.dataset_records import block, committer

STORED = Path(__file__).parents[3] / "data" / "dataset-0.1.0" / "out"
PLAN = json.loads((STORED / "plan.json").read_text())


class CrashError(Exception):
    """The process dies here."""


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    shutil.copytree(STORED, tmp_path / "out")
    return Folder.at(tmp_path / "out")


def bytes_of(folder: Path) -> dict[str, bytes]:
    return {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def fates(folder: Folder) -> dict[str, tuple[str, bool, str]]:
    """What the ledger says of each row: its status, whether it is retryable, and by which run."""
    lines = Dataset(folder).ledger().select("key", "status", "retryable", "run").collect()
    return {key: (status, retryable, run) for key, status, retryable, run in lines.iter_rows()}


@pytest.mark.parametrize(
    "words",
    [
        ["status", "DIR", "--json"],
        ["show", "DIR", "--rejected", "--json"],
        pytest.param(["show", "DIR", "--json"], marks=pytest.mark.slow),
        pytest.param(["report", "DIR", "--out", "OUT.html"], marks=pytest.mark.slow),
        ["export", "DIR", "--format", "jsonl", "--out", "OUT.jsonl"],
        pytest.param(["diff", "DIR", "DIR"], marks=pytest.mark.slow),
    ],
    ids=lambda words: " ".join(words[:3]),
)
def test_commands_that_look_read_format_2_and_write_nothing(
    folder: Folder, tmp_path: Path, words: list[str]
) -> None:
    before = bytes_of(Path(folder.uri))
    names = {
        "DIR": folder.uri,
        "OUT.html": str(tmp_path / "r.html"),
        "OUT.jsonl": str(tmp_path / "e"),
    }
    done = CliRunner().invoke(main, [names.get(word, word) for word in words])
    assert done.exit_code == 0, done.output
    assert bytes_of(Path(folder.uri)) == before
    if words[0] == "status":
        status = json.loads(done.stdout)
        counts = {name: status[name] for name in ("kept", "dropped", "failed", "pending")}
        assert counts == {"kept": 4, "dropped": 1, "failed": 3, "pending": 2}
    if words[0] == "export":
        assert len((tmp_path / "e").read_text().splitlines()) == 8


def test_the_transient_mark_of_format_2_reads_as_retryable(folder: Folder) -> None:
    dataset = Dataset(folder)
    assert dataset.ledger().collect_schema().names() == LEDGER.names
    assert len(dataset.failed(PLAN["hash"], retryable=True)) == 2
    assert len(dataset.failed(PLAN["hash"], retryable=False)) == 3


def test_a_start_raises_format_2_in_one_commit_that_changes_no_line(folder: Folder) -> None:
    before = fates(folder)
    version = GuardedTable(folder, "rows", LEDGER).version
    run = committer(folder, "run-2", PLAN["hash"], columns=PLAN["columns"], source=10)
    entry = last_record(folder, version + 1)
    assert entry is not None
    assert entry.record is not None
    assert entry.version == version + 1
    assert (entry.record["kind"], entry.record["format"]) == ("start", FORMAT_VERSION)
    assert (len(entry.added), len(entry.removed)) == (1, 8)
    assert fates(folder) == before
    assert run.requeue_failed(retryable=True) == {k for k, (_, again, _) in before.items() if again}
    made = block(folder, ["new"], PLAN["hash"], columns=PLAN["columns"])
    assert [line.key for line in run.commit([made])] == ["new"]
    assert len(fates(folder)) == len(before) - 2 + 1
    assert Dataset(folder).ledger().collect_schema().names() == LEDGER.names
    run.finish("end")


def test_what_was_recorded_under_format_2_is_still_found(folder: Folder) -> None:
    keys = set(fates(folder))
    last = last_record(folder, GuardedTable(folder, "rows", LEDGER).version)
    assert last is not None
    assert last.record is not None
    run = committer(folder, "run-2", PLAN["hash"], columns=PLAN["columns"])
    assert run.recorded == tuple(last.record["recorded"])
    assert len(Dataset(folder).transcript_files(run.recorded)) == 2
    edited = committer(folder, "run-3", "plan-b")
    files = Dataset(folder).transcript_files(edited.recorded)
    assert files.keys() < keys
    assert len(files) == 6, "two rows failed in their first call, so they have no transcript"


@pytest.mark.parametrize("after", [False, True])
def test_a_crash_while_the_format_is_raised_loses_nothing(
    folder: Folder, monkeypatch: pytest.MonkeyPatch, after: bool
) -> None:
    before = fates(folder)
    real = GuardedTable.commit

    def commit(self: GuardedTable, *args: object, **kwargs: object) -> None:
        if after:
            real(self, *args, **kwargs)  # type: ignore[arg-type]
        raise CrashError

    with monkeypatch.context() as patch:
        patch.setattr(GuardedTable, "commit", commit)
        with pytest.raises(CrashError):
            committer(folder, "run-2", PLAN["hash"], columns=PLAN["columns"])
    assert fates(folder) == before
    committer(folder, "run-3", PLAN["hash"], columns=PLAN["columns"])
    assert fates(folder) == before
    named = set(GuardedTable(folder, "rows", LEDGER).active())
    log_names = {path.name for path in (STORED / "rows").glob("*.parquet")}
    on_disk = {path.name for path in (Path(folder.uri) / "rows").glob("*.parquet")}
    assert on_disk >= named | log_names
    assert len(on_disk - named - log_names) == 0, "a half-written ledger file was swept"


def test_a_driver_that_wrote_format_2_is_fenced_off(folder: Folder) -> None:
    older = GuardedTable(folder, "rows", LEDGER)
    committer(folder, "run-2", PLAN["hash"], columns=PLAN["columns"])
    with pytest.raises(FencedError):
        older.commit(older.version + 1, [], schema=LEDGER, record={"kind": "finish", "format": 2})


def test_a_follower_goes_on_over_the_change_of_format(folder: Folder) -> None:
    follower = Follower(folder)
    handed = [follower.read(commit)["id"].to_pylist() for commit in follower.poll()]
    run = committer(folder, "run-2", PLAN["hash"], columns=PLAN["columns"])
    run.commit([block(folder, ["new"], PLAN["hash"], columns=PLAN["columns"])])
    commits = follower.poll()
    assert [commit.removed for commit in commits] == [False]
    assert follower.read(commits[0])["key"].to_pylist() == ["new", "new"]
    fresh = Follower(folder)
    read = [fresh.read(commit)["id"].to_pylist() for commit in fresh.poll()]
    assert read[:-1] == handed


def test_an_edited_recipe_on_format_2_replaces_its_rows(folder: Folder) -> None:
    run = committer(folder, "run-2", "plan-b")
    assert len(fates(folder)) == 8
    run.commit([block(folder, ["a"], "plan-b")])
    assert list(fates(folder)) == ["a"]
    assert Dataset(folder).status().kept == 1
