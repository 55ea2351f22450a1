"""Parts of a cluster are lost while a dataset is made: engine actors, workers, whole nodes.

Each fault is really caused on a local cluster of several nodes, and what comes out is held against
an undisturbed run.
"""

from __future__ import annotations

import random
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import Project, fake
from tests.integration.test_faults_driver import SAME, nothing_is_left_over

ROWS, LATENCY_S = 240, 0.3


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


def actors(address: str) -> list[psutil.Process]:
    """The processes that hold engines, of the cluster at this address alone."""
    found = []
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if "_RowActor" in words and words.startswith("ray::"):
            parents = " ".join(" ".join(parent.cmdline()) for parent in process.parents())
            if address in parents:
                found.append(process)
    return found


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
def undisturbed(tmp_path_factory: pytest.TempPathFactory, ray_address: str) -> Any:
    project = Project(tmp_path_factory.mktemp("undisturbed"), ray_address)
    project.write(ROWS)
    project.apply()
    return project.examples().select(SAME)


@pytest.mark.parametrize("seed", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_an_engines_process_is_killed_and_its_rows_run_again(
    project: Project, undisturbed: Any, seed: int
) -> None:
    process = project.start(*write(project))
    at = random.Random(seed).randrange(10, ROWS // 2)
    project.wait_for(
        lambda: (project.out / "rows").exists() and len(project.ledger()) >= at, process
    )
    running = actors(project.address)
    assert running
    random.Random(seed).choice(running).kill()
    goes_on(process, project, undisturbed)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_a_node_is_lost_and_one_is_added_and_the_run_goes_on(
    tmp_path: Path, nodes: Any, undisturbed: Any, seed: int
) -> None:
    project = Project(tmp_path, str(nodes.address))
    process = project.start(*write(project))
    at = random.Random(seed).randrange(10, ROWS // 3)
    project.wait_for(
        lambda: (project.out / "rows").exists() and len(project.ledger()) >= at, process
    )
    lost = random.Random(seed).choice(sorted(nodes.worker_nodes, key=lambda node: node.node_id))
    nodes.remove_node(lost, allow_graceful=False)
    nodes.add_node(num_cpus=2, object_store_memory=100_000_000)
    goes_on(process, project, undisturbed)
