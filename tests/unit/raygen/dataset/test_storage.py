"""Files of a dataset on local disk and through the object store's client, and which faults pass."""

from __future__ import annotations

import pickle
from pathlib import Path

import pyarrow as pa
import pytest
from deltalake import write_deltalake

from raygen.dataset.control_files import read_heartbeat
from raygen.dataset.follow import Follower
from raygen.dataset.reader import Dataset, scan_table
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import (
    Folder,
    connection_broke,
    message_of,
    retry_idempotent,
    storage_errors,
)
from raygen.sources.files import read_source
from tests.support.dataset_records import block, committer, contents


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    """The same place as a path, and by a URI through the object-store client."""
    if request.param == "local":
        return Folder.at(tmp_path)
    return Folder(f"file://{tmp_path}")


def test_files_go_in_and_out(folder: Folder) -> None:
    assert not folder.exists("control/stop")
    assert folder.files("control") == []
    folder.write_text("control/stop", "plateau é")
    folder.write_text("control/stop", "end")
    assert folder.exists("control/stop")
    assert folder.exists("control")
    assert not folder.exists("contro")
    assert folder.read_text("control/stop") == "end"
    assert folder.files("control") == ["control/stop"]
    folder.delete("control/stop")
    folder.delete("control/stop")
    with pytest.raises(FileNotFoundError):
        folder.read_text("control/stop")


def test_a_dataset_lives_there(folder: Folder) -> None:
    run = committer(folder, source=4)
    run.commit([block(folder, ["a", "b"])])
    orphan = block(folder, ["b"])
    assert orphan.examples is not None
    run = committer(folder, "run-2", source=4)
    assert not folder.exists(f"examples/{orphan.examples.path}")
    run.commit([block(folder, ["b", "c"])])
    run.finish("end")
    assert contents(folder) == (["a", "b", "c"], ["a", "a", "b", "b", "c", "c"], ["a", "b", "c"])
    follower = Follower(folder)
    assert [commit.rows for commit in follower.poll()] == [4, 2]
    assert follower.state().ended
    assert Dataset.open(folder).status().pending == 1
    assert read_heartbeat(folder) is not None


@pytest.mark.parametrize(
    "name",
    [
        "my Müller 100%",
        *(pytest.param(n, marks=pytest.mark.slow) for n in ("a b", "Mü", "100%", "a#b", "x&y+z=1")),
    ],
)
def test_a_dataset_lives_in_a_folder_of_any_name(tmp_path: Path, name: str) -> None:
    folder = Folder.at(tmp_path / name)
    run = committer(folder, source=2)
    run.commit([block(folder, ["a"])])
    run.commit([block(folder, ["b"])])
    assert contents(folder) == (["a", "b"], ["a", "a", "b", "b"], ["a", "b"])
    dataset = Dataset.open(folder)
    assert dataset.status().pending == 0
    assert dataset.ledger(2).collect().height == 1
    (source,) = read_source(name, tmp_path)
    assert len(source.rows) == 4


def test_a_table_of_any_writer_is_scanned_whatever_its_partitions_are_called(
    tmp_path: Path,
) -> None:
    values = ["a b", "x/y", "ü%"]
    table = pa.table({"c": values, "v": [1, 2, 3]})
    write_deltalake(str(tmp_path / "a b"), table, partition_by=["c"])
    scanned = scan_table(Folder.at(tmp_path / "a b")).sort("v").collect()
    assert scanned["c"].to_list() == values


@pytest.mark.parametrize("name", ["a[1]", "a]", "a|b", "a^b", "a\\b", "a%20b", "what?"])
def test_a_name_that_delta_tables_cant_have_is_reported(tmp_path: Path, name: str) -> None:
    assert Folder.at(tmp_path / name).unfit
    assert not Folder.at(tmp_path / "my work 100%").unfit
    assert not Folder.at(f"s3://bucket/{name}").unfit


def test_a_url_that_no_store_knows_is_reported() -> None:
    with pytest.raises(DatasetError, match="names no folder"):
        Dataset.open("git+file:///somewhere")
    with pytest.raises(DatasetError, match="can't look for a dataset in git\\+ssh://"):
        Dataset.open("git+ssh://host/somewhere")


def test_a_folder_travels(folder: Folder) -> None:
    assert pickle.loads(pickle.dumps(folder)) == folder  # noqa: S301


def test_paths_become_absolute_and_uris_stay(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert Folder.at("out").uri == str(tmp_path / "out")
    assert Folder.at(f"file://{tmp_path}").local == tmp_path
    remote = Folder.at("s3://bucket/out/", {"AWS_REGION": "eu-west-1"})
    assert remote.join("rows") == "s3://bucket/out/rows"
    assert remote.local is None


def test_a_write_that_fails_leaves_nothing(tmp_path: Path) -> None:
    folder = Folder.at(tmp_path)
    (tmp_path / "taken").mkdir()
    with pytest.raises(OSError, match="taken"):
        folder.write_text("taken", "x")
    assert [path.name for path in tmp_path.iterdir()] == ["taken"]


def test_storage_faults_say_what_where_and_what_to_do() -> None:
    with pytest.raises(DatasetError, match=r"can't commit in s3://b: \[Errno 28\].*free space"):
        with storage_errors("commit", "s3://b"):
            raise OSError(28, "No space left on device")


def test_no_dataset_is_a_clear_error(folder: Folder) -> None:
    with pytest.raises(DatasetError, match=r"no dataset in .*raygen apply"):
        Dataset.open(folder)
    assert Dataset(folder).plans() == frozenset()


CUT = """Generic S3 error
          \x1b[31m↳\x1b[0m Error performing PUT http://store/x in 2.2ms - HTTP error
           \x1b[31m↳\x1b[0m error sending request
            \x1b[31m↳\x1b[0m Connection reset"""
TRIED = "Error performing GET http://store/x in 180s, after 10 retries - HTTP error"


def test_a_broken_connection_differs_from_a_refusal_and_from_a_store_that_is_away() -> None:
    assert connection_broke(OSError(CUT))
    assert not connection_broke(OSError(TRIED))
    assert not connection_broke(OSError("Server returned 403 Forbidden: Access Denied"))
    assert not connection_broke(FileNotFoundError(2, "No such file or directory"))


def test_a_tree_of_causes_becomes_one_line() -> None:
    assert message_of(OSError(CUT)) == (
        "Generic S3 error: Error performing PUT http://store/x in 2.2ms - HTTP error: "
        "error sending request: Connection reset"
    )
    assert message_of(OSError()) == "OSError"
    assert len(message_of(OSError("x" * 5000))) == 400


@pytest.mark.parametrize(("faults", "passes"), [(3, True), (5, True), (6, False)])
def test_it_is_tried_six_times_at_most(
    monkeypatch: pytest.MonkeyPatch, faults: int, passes: bool
) -> None:
    monkeypatch.setattr("raygen.dataset.storage._FIRST_WAIT_S", 0.0)
    tries = 0

    def action() -> str:
        nonlocal tries
        tries += 1
        if tries <= faults:
            raise OSError(CUT)
        return "done"

    if passes:
        assert retry_idempotent(action) == "done"
    else:
        with pytest.raises(OSError, match="Connection reset"):
            retry_idempotent(action)
    assert tries == min(faults + 1, 6)
