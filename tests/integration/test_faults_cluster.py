"""Parts of a cluster are lost while a dataset is made: engine actors, workers, whole nodes.

Each fault is really caused on a local cluster of several nodes, and what comes out is held against
an undisturbed run.
"""

from __future__ import annotations

import json
import random
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import polars as pl
import psutil
import pytest

from tests.integration.conftest import Project, fake, of_first
from tests.integration.test_faults_driver import SAME, nothing_is_left_over

ROWS, LATENCY_S = 160, 0.3


@pytest.fixture
def nodes() -> Iterator[Any]:
    """A cluster whose head runs no actors, and two nodes of two CPUs each."""
    from ray.cluster_utils import Cluster

    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 0,
                "include_dashboard": False,
                "_system_config": None,
                "temp_dir": folder,
                "object_store_memory": 100_000_000,
            },
        )
        for _ in range(2):
            cluster.add_node(num_cpus=2, object_store_memory=100_000_000)
        yield cluster
        cluster.shutdown()


def write(project: Project) -> list[str]:
    """A run on two actors; returns the words of it."""
    project.write(ROWS, engines={"teacher": fake(latency=LATENCY_S)})
    profile = project.folder / "two.yaml"
    profile.write_text("profile: two\nreplicas: {min: 2, max: 2}\nconcurrency: 4\n")
    return ["--profile", str(profile)]


def workers(address: str) -> dict[psutil.Process, str]:
    """The processes that Ray runs tasks and actors in, and what, of the cluster at this address."""
    found = {}
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if words.startswith("ray::") and "Agent" not in words:  # an agent takes its node along
            parents = " ".join(" ".join(parent.cmdline()) for parent in process.parents())
            if address in parents:
                found[process] = words
    return found


def actors(address: str) -> list[psutil.Process]:
    """Those that hold engines."""
    return [process for process, words in workers(address).items() if "_RowActor" in words]


def comes_back(
    project: Project, process: subprocess.Popen[str], before: Sequence[psutil.Process]
) -> float:
    """Seconds until a process that is new holds engines; the others went on all the while."""
    begun, known = time.monotonic(), {one.pid for one in before}
    while process.poll() is None and not {one.pid for one in actors(project.address)} - known:
        time.sleep(0.1)
    return time.monotonic() - begun


def goes_on(process: subprocess.Popen[str], project: Project, undisturbed: Any) -> None:
    """The run ends well, with the rows of one that nothing disturbed."""
    _, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    assert "Traceback" not in err
    status = project.status()
    assert (status["pending"], status["failed"]) == (0, 0)
    assert project.examples().select(SAME).equals(undisturbed)
    nothing_is_left_over(project)


@pytest.fixture(scope="module")
def undisturbed(undisturbed_examples: pl.DataFrame) -> pl.DataFrame:
    return of_first(undisturbed_examples, ROWS).select(SAME)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_engines_process_is_killed_and_its_rows_run_again(
    project: Project, undisturbed: Any, seed: int, record_property: Callable[[str, object], None]
) -> None:
    process = project.start(*write(project))
    at = random.Random(seed).randrange(10, ROWS // 2)
    project.wait_for(lambda: project.committed() >= at, process)
    running = actors(project.address)
    assert running
    random.Random(seed).choice(running).kill()
    record_property("recovery_s", comes_back(project, process, running))
    goes_on(process, project, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("which", ["Ray Data's", "the control"])
def test_a_process_that_holds_no_engine_is_killed(
    project: Project, undisturbed: Any, which: str, record_property: Callable[[str, object], None]
) -> None:
    """Ray Data's own workers are replaced; without the control actor the next apply goes on."""
    process = project.start(*write(project))
    project.wait_for(lambda: project.committed() > 0, process)
    engines = actors(project.address)
    control = which == "the control"
    chosen = [
        worker
        for worker, words in workers(project.address).items()
        if worker not in engines and ("Control" in words) == control
    ]
    assert chosen
    for worker in chosen:
        worker.kill()
    if control:
        out, err = process.communicate(timeout=240)
        assert process.returncode == 1, err
        assert "Traceback" not in err
        assert "run the same command again" in json.loads(out)["message"]
        before = len(project.ledger())
        assert before < ROWS
        process = project.start()
        record_property("recovery_s", project.recovers(process, before))
    goes_on(process, project, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_node_is_lost_and_one_is_added_and_the_run_goes_on(
    tmp_path: Path,
    nodes: Any,
    undisturbed: Any,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    project = Project(tmp_path, str(nodes.address))
    process = project.start(*write(project))
    at = random.Random(seed).randrange(10, ROWS // 3)
    project.wait_for(lambda: project.committed() >= at, process)
    lost = random.Random(seed).choice(sorted(nodes.worker_nodes, key=lambda node: node.node_id))
    running = actors(project.address)
    nodes.remove_node(lost, allow_graceful=False)
    nodes.add_node(num_cpus=2, object_store_memory=100_000_000)
    record_property("recovery_s", comes_back(project, process, running))
    goes_on(process, project, undisturbed)
