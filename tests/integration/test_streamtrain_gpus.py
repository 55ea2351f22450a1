"""`streamtrain fit` on a cluster whose GPUs are only counted: one for each worker, and more of them
once the dataset has ended. The student itself is on CPUs."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from raygen.core.row import digest
from streamtrain.config.student import parse_config, read_document
from streamtrain.data.dataset import DatasetFeed
from streamtrain.data.stream import ShardStream, make_order
from tests.integration.fit_runs import (
    WAIT_S,
    Generator,
    environment,
    events,
    killed_at_the_end,
    start,
)

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

GPUS = 2


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A cluster of one node with two GPUs that aren't there."""
    cluster = started_cluster()
    yield str(cluster.address)
    cluster.shutdown()


def started_cluster(tries: int = 3) -> Any:
    """Start the cluster. Ray gives a node's agents 15 seconds, in which a busy machine doesn't
    always start them."""
    from ray.cluster_utils import Cluster  # noqa: TID251

    cluster = Cluster()
    node = {"num_cpus": GPUS, "num_gpus": GPUS, "object_store_memory": 100_000_000}
    try:
        cluster.add_node(**node, include_dashboard=False, dashboard_agent_listen_port=0)
    except Exception as error:
        if tries == 1 or "timed out during startup" not in str(error):
            raise
        return started_cluster(tries - 1)
    return cluster


def fit(student: Path, data: Path, address: str, *options: str) -> list[str]:
    """The command line of `streamtrain fit` that takes counted GPUs for CPUs."""
    words = [sys.executable, "-m", "tests.integration.logical_gpus", "fit", str(student)]
    return [*words, "--data", str(data), "--address", address, *options]


def student(folder: Path, model: Path, **more: Any) -> Path:
    settings = {
        "student": "tiny",
        "version": 1,
        "model": str(model),
        "tune": {"method": "full"},
        "data": {"max_input": 64, "max_target": 32},
        "optim": {"lr": 1e-4, "batch": 8, "epochs": 200_000},
        "stream": {"shuffle": 16, "seed": 3},
        **more,
    }
    path = folder / "student.yaml"
    path.write_text(json.dumps(settings))
    return path


def batches(student: Path, data: Path, count: int) -> list[str]:
    """The hashes of the first batches, drawn from the finished dataset without training."""
    config = parse_config(read_document(student))
    stream = ShardStream(DatasetFeed(str(data), follow=False), make_order(config))
    stream.poll()
    drawn = (stream.next_batch() for _ in range(count))
    return [digest([row["id"] for row in batch.rows]) for batch in drawn if batch is not None]


def test_more_workers_than_gpus_are_refused(address: str, tiny_model: Path, tmp_path: Path) -> None:
    Generator(tmp_path / "data").finish()
    path = student(tmp_path, tiny_model, workers=GPUS + 1)
    done = subprocess.run(
        fit(path, tmp_path / "data", address),
        env=environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=WAIT_S,
    )
    assert done.returncode == 2, done.stderr
    assert "workers is 3, and the cluster has 2 GPUs" in done.stderr
    (error,) = events(tmp_path / "data" / "student", "error")
    assert error["user"] is True


@pytest.mark.slow
def test_a_run_grows_once_its_dataset_has_ended_and_takes_the_same_batches(
    address: str, tiny_model: Path, tmp_path: Path
) -> None:
    path, data = student(tmp_path, tiny_model, workers=1), tmp_path / "data"
    out = data / "student"
    generator = Generator(data, pause_at=24)
    with killed_at_the_end() as processes:
        run = start(fit(path, data, address, "--follow", "--grow", str(GPUS)), processes)
        wait_for(run, out, "step")
        assert not events(out, "grow"), "it grows after the dataset's end alone"
        generator.finish()
        wait_for(run, out, "grow")
        wait_for(run, out, "start", 2)
        wait_for(run, out, "step", len(events(out, "step")) + 3)
        run.send_signal(signal.SIGINT)
        stdout, stderr = run.communicate(timeout=WAIT_S)
    assert run.returncode == 1, stderr
    assert "more GPUs are free: going on with 2 workers" in stdout
    began = events(out, "start")
    assert [(event["workers"], event["device"]) for event in began] == [(1, "cpu"), (GPUS, "cpu")]
    taken = events(out, "step")
    assert [event["step"] for event in taken] == list(range(1, len(taken) + 1)), "none twice"
    assert [event["batch"] for event in taken] == batches(path, data, len(taken))


def wait_for(run: subprocess.Popen[str], out: Path, name: str, count: int = 1) -> None:
    """Wait until the run has recorded so many events of a name."""
    deadline = time.monotonic() + 2 * WAIT_S
    while len(events(out, name)) < count:
        assert run.poll() is None, run.communicate()
        assert time.monotonic() < deadline, events(out)[-3:]
        time.sleep(0.2)
