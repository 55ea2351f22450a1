"""Files and tables in an object store that speaks S3, by the options and by the environment."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from raygen.dataset.delta import GuardedTable
from raygen.dataset.ownership import DATASET, check_writable
from raygen.dataset.records import ROWS, DatasetError
from raygen.dataset.schema import LEDGER
from raygen.dataset.storage import Folder
from tests.integration.failing_store import FailingStore, Failure, failing_store
from tests.support.dataset_records import block, committer, contents

MAKE_BUCKET = "import s3fs; s3fs.S3FileSystem().mkdir('shelf')"


@pytest.fixture(scope="module")
def store() -> Iterator[FailingStore]:
    """A store with the bucket `shelf`; this process's environment doesn't know of it."""
    with failing_store() as found, pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        environment = {**os.environ, **found.environment}
        subprocess.run([sys.executable, "-c", MAKE_BUCKET], env=environment, check=True)
        yield found


@pytest.fixture(params=["out", "my work/Müller [1] 100%"])
def folder(request: pytest.FixtureRequest, store: FailingStore) -> Folder:
    """A folder of its own, reached by options in the ways that deltalake takes them."""
    options = {
        **store.environment,
        "timeout": "30s",
        "AWS_S3_ALLOW_UNSAFE_RENAME": "true",
        "aws_conditional_put": "etag",
    }
    return Folder.at(f"s3://shelf/{request.node.name}/{request.param}", options)


def test_files_go_in_and_out(folder: Folder) -> None:
    name = "control/what Müller [1] said #2"
    assert folder.files("control") == []
    folder.write_text(name, "plateau é")
    folder.write_text(name, "end")
    assert folder.read_text(name) == "end"
    assert folder.files("control") == [name]
    assert folder.exists(name)
    assert folder.exists("control")
    assert not folder.exists("contro")
    folder.delete(name)
    folder.delete(name)
    with pytest.raises(FileNotFoundError):
        folder.read_bytes(name)


def test_a_folder_of_others_is_refused_and_a_dataset_is_known(folder: Folder) -> None:
    check_writable(folder, DATASET, "--out DIR")
    folder.write_text("examples/demo.py", "mine")
    folder.write_text("recipe.yaml", "mine")
    with pytest.raises(DatasetError, match=r"other files \(examples/, recipe\.yaml\).*--out DIR"):
        check_writable(folder, DATASET, "--out DIR")
    with pytest.raises(DatasetError, match="other files"):
        committer(folder)
    assert folder.read_text("examples/demo.py") == "mine"
    folder.delete("examples/demo.py")
    folder.delete("recipe.yaml")
    folder.write_bytes(f"source/{'ab' * 16}.parquet", b"of a start that was killed")
    committer(folder).commit([block(folder, ["a"])])
    folder.write_text("examples/demo.py", "of the user's, in a dataset")
    committer(folder, "run-2")
    assert folder.exists("examples/demo.py")


def test_connections_that_break_are_not_noticed(folder: Folder, store: FailingStore) -> None:
    folder.write_text("a", "1")
    for failure in ("dropped", "answer lost", "500"):
        store.fail(2, failure)
        try:
            folder.write_text("a", failure)
            assert folder.read_text("a") == failure
            assert folder.exists("a")
            assert [path for path in folder.files("") if path == "a"] == ["a"]
            folder.write_text("b", "1")
            folder.delete("b")
            assert not folder.exists("b")
        finally:
            assert store.fail(0)[failure] > 0


def test_the_environment_says_where_the_store_is_as_it_does_for_tables(
    store: FailingStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in store.environment.items():
        monkeypatch.setenv(name, value)
    folder = Folder.at("s3://shelf/by environment/out")
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    assert contents(folder)[0] == ["a"]
    folder.delete("control/stop")


def test_a_store_that_refuses_is_an_error_in_one_line(store: FailingStore) -> None:
    nowhere = Folder.at("s3://not-there/out", store.environment)
    with pytest.raises(DatasetError, match=r"^can't .*NoSuchBucket.*same command") as raised:
        committer(nowhere)
    assert "\n" not in str(raised.value)
    with pytest.raises(OSError, match="NoSuchBucket") as refused:
        nowhere.write_text("a", "b")
    assert "Debug" not in str(refused.value)


@pytest.mark.parametrize("failure", ["500", "dropped"])
def test_a_table_that_can_no_longer_be_looked_at_is_an_error_with_advice(
    store: FailingStore, failure: Failure
) -> None:
    table = GuardedTable(Folder.at(f"s3://shelf/lost-{failure}", store.environment), ROWS, LEDGER)
    assert table.applied == -1
    store.fail(1, failure)
    try:
        with pytest.raises(DatasetError, match="run the same command again"):
            _ = table.applied
    finally:
        store.fail(0)


def test_a_dataset_lives_there(store: FailingStore) -> None:
    """deltalake takes names with brackets for patterns, so its folder has plain ones."""
    folder = Folder.at("s3://shelf/dataset/my work/Müller", store.environment)
    run = committer(folder, source=4)
    run.commit([block(folder, ["a", "b"])])
    orphan = block(folder, ["b"])
    assert orphan.examples is not None
    run = committer(folder, "run-2", source=4)
    assert not folder.exists(f"examples/{orphan.examples.path}")
    run.commit([block(folder, ["b", "c"])])
    assert contents(folder) == (["a", "b", "c"], ["a", "a", "b", "b", "c", "c"], ["a", "b", "c"])
