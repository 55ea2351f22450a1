"""An object store that fails every k-th request: a run ends right, or stops clearly and goes on."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import polars as pl
import pytest
from deltalake import DeltaTable

from raygen.dataset.log import newest_version
from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from tests.integration.conftest import Project, fake, of_first, ray_cluster
from tests.integration.failing_store import FailingStore, Failure, failing_store
from tests.integration.test_faults_driver import SAME

ROWS = 40
MOST_RUNS = 10
SLOW = pytest.mark.slow
TABLES = ("examples", "rows", "transcripts")


@pytest.fixture(scope="module")
def store() -> Iterator[FailingStore]:
    """A store with the bucket `shelf`, which this process finds by its environment."""
    import s3fs

    with failing_store() as found, pytest.MonkeyPatch.context() as patch:
        for name, value in found.environment.items():
            patch.setenv(name, value)
        s3fs.S3FileSystem.clear_instance_cache()
        s3fs.S3FileSystem().mkdir("shelf")
        yield found
        s3fs.S3FileSystem.clear_instance_cache()


@pytest.fixture(scope="module")
def address(store: FailingStore) -> Iterator[str]:
    """A cluster of its own, whose workers find the store as well."""
    with ray_cluster() as found:
        yield found


@pytest.fixture(scope="module")
def undisturbed(undisturbed_examples: pl.DataFrame) -> pl.DataFrame:
    return of_first(undisturbed_examples, ROWS).select(SAME)


def left_over(out: Folder) -> set[str]:
    """The data files in the store that no commit names."""
    stored = {path for table in TABLES for path in out.files(table)}
    named = {
        f"{table}/{Path(uri).name}"
        for table in TABLES
        for uri in DeltaTable(out.join(table)).file_uris()
    }
    assert named <= stored
    return stored - named


FAILURES: tuple[Failure, ...] = ("answer lost", "dropped", "500", "503")


@pytest.mark.parametrize(
    ("failure", "every"),
    [
        pytest.param(failure, every, marks=() if failure == FAILURES[0] and every == 7 else SLOW)
        for failure in FAILURES
        for every in (7, 5)
    ],
)
@pytest.mark.slow
def test_a_store_that_fails_every_kth_request_loses_and_repeats_nothing(
    tmp_path: Path,
    address: str,
    store: FailingStore,
    undisturbed: pl.DataFrame,
    failure: Failure,
    every: int,
) -> None:
    project = Project(tmp_path, address)
    project.write(ROWS)
    out = Folder.at(f"s3://shelf/{failure.replace(' ', '-')}-{every}")
    store.fail(every, failure)
    for _ in range(MOST_RUNS):
        process = project.start("--out", out.uri)
        told, err = process.communicate(timeout=240)
        assert "Traceback" not in err
        if process.returncode == 0:
            break
        assert process.returncode == 1, err
        assert "run the same command again" in (json.loads(told)["message"] if told else err)
    assert process.returncode == 0, err
    assert store.fail(0)[failure] > 5
    dataset = Dataset.open(out)
    status = dataset.status()
    assert (status.pending, status.failed) == (0, 0)
    assert dataset.examples().collect().sort("id").select(SAME).equals(undisturbed)
    assert dataset.ledger().collect()["key"].is_unique().all()
    project.apply("--out", out.uri)
    assert left_over(out) == set()


def test_a_store_that_is_away_ends_the_run_and_it_goes_on_when_it_is_back(
    tmp_path: Path,
    address: str,
    store: FailingStore,
    undisturbed: pl.DataFrame,
    record_property: Callable[[str, object], None],
) -> None:
    project = Project(tmp_path, address)
    project.write(ROWS, engines={"teacher": fake(latency=2.0)})
    profile = tmp_path / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 4\n")
    out = Folder.at("s3://shelf/away")
    process = project.start("--out", out.uri, "--profile", str(profile))
    while newest_version(out, "rows") < 1 or Dataset(out).extent()[0] == 0:
        assert process.poll() is None, process.communicate()[1]
        time.sleep(0.2)
    store.fail(1, "500", "dropped")
    told, err = process.communicate(timeout=240)
    store.fail(0)
    assert process.returncode == 1, err
    assert "Traceback" not in err
    assert "run the same command again" in (json.loads(told)["message"] if told else err)
    status = Dataset.open(out).status()
    assert 0 < status.pending < ROWS
    assert (status.source, status.failed) == (ROWS, 0)
    before, begun = Dataset(out).extent()[0], time.monotonic()
    process = project.start("--out", out.uri)
    while process.poll() is None and Dataset(out).extent()[0] == before:
        time.sleep(0.2)
    record_property("recovery_s", time.monotonic() - begun)
    assert project.ends(process)["rows"]["pending"] == 0
    dataset = Dataset.open(out)
    assert dataset.examples().collect().sort("id").select(SAME).equals(undisturbed)
    assert left_over(out) == set()
