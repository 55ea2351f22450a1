"""`raygen apply` on a cluster of two nodes that the test starts: as a Ray job, and with GPUs that
are only counted."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from raygen.dataset.reader import Dataset
from raygen.dataset.storage import Folder
from tests.integration.conftest import Project, fake

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NODE_OP = """
import ray
from raygen.ops.base import Columns, Op, OpParams

class NodeParams(OpParams):
    \"\"\"Writes the node that a row ran on.\"\"\"

async def run(row, params, ctx):
    return [row.child(ctx.node, 0, {"place": ray.get_runtime_context().get_node_id()})]

NODE = Op("node", 1, NodeParams, run, lambda params, task: Columns(provides={"place": "string"}))
"""
WAIT_S = 200


@dataclass(frozen=True)
class TwoNodes:
    address: str
    dashboard: str


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[TwoNodes]:
    """A head with one CPU, and a node with three and four GPUs that are only counted."""
    from ray.cluster_utils import Cluster  # noqa: TID251

    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        # A free port, since another cluster on this machine has the usual one.
        both = {"object_store_memory": 100_000_000, "dashboard_agent_listen_port": 0}
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 1,
                "num_gpus": 0,
                "include_dashboard": True,
                "dashboard_port": 0,
                "temp_dir": folder,
                **both,
            },
        )
        cluster.add_node(num_cpus=3, num_gpus=4, **both)
        yield TwoNodes(str(cluster.address), f"http://{cluster.head_node.webui_url}")
        cluster.shutdown()


def submit(dashboard: str, folder: Path, *words: str) -> str:
    """`ray job submit` with the folder, to its end; what the job said."""
    ray = Path(sys.executable).parent / "ray"
    command = [str(ray), "job", "submit", "--address", dashboard, "--working-dir", str(folder)]
    deadline = time.monotonic() + WAIT_S
    while True:
        done = subprocess.run([*command, "--", *words], capture_output=True, text=True, check=False)
        # The agents of the nodes take their time to start.
        if done.returncode == 0 or "No available agent" not in done.stderr:
            assert done.returncode == 0, done.stdout + done.stderr
            return done.stdout
        assert time.monotonic() < deadline, done.stderr
        time.sleep(1)


def test_a_job_runs_on_both_nodes_and_names_where_to_look(
    two_nodes: TwoNodes, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project", two_nodes.address)
    project.folder.mkdir()
    (project.folder / "raygen_node.py").write_text(NODE_OP)
    (project.folder / "spread.yaml").write_text(
        "profile: spread\nreplicas: {min: 4, max: 4}\nconcurrency: 4\naddress: auto\n"
    )
    out = tmp_path / "out"
    project.write(
        60,
        engines={"teacher": fake(latency=0.5)},
        graph={
            "rationales": {
                "op": "sample_rationales",
                "from": "source",
                "engine": "teacher",
                "n": 4,
            },
            "where": {"op": "node", "from": "rationales"},
        },
        output={"from": "where", "path": "out"},
    )
    said = submit(
        two_nodes.dashboard,
        project.folder,
        *(sys.executable, "-m", "raygen.cli", "apply", "recipe.yaml", "--yes"),
        *("--profile", "spread.yaml", "--trust", "raygen_node.py", "--out", str(out)),
    )
    assert "60 in: 60 kept" in said
    assert f"dashboard  {two_nodes.dashboard}" in said
    assert f"metrics    {two_nodes.dashboard}/api/prometheus/sd" in said
    dataset = Dataset.open(str(out))
    examples = dataset.examples().collect()
    assert examples["place"].n_unique() == 2
    (run,) = dataset.runs(next(iter(dataset.plans())))
    assert run[1]["actors"] == 4
    with urllib.request.urlopen(f"{two_nodes.dashboard}/api/prometheus/sd") as answer:  # noqa: S310
        targets = [target for group in json.load(answer) for target in group["targets"]]
    assert len(targets) >= 2
    kept = 0.0
    for target in targets:
        with urllib.request.urlopen(f"http://{target}/metrics") as answer:
            for line in answer.read().decode().splitlines():
                if "raygen_rows_total{" in line and 'status="kept"' in line:
                    kept += float(line.rsplit(" ", 1)[1])
    # An actor that ends takes the counts of its last moments along.
    assert 0 < kept <= 60, "the nodes export the counters of the workers"


def events(project: Project) -> list[dict[str, Any]]:
    """What the trainer has said so far."""
    path = project.out / "student" / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


def test_the_trainer_has_its_gpu_and_then_those_of_the_engines(
    two_nodes: TwoNodes, tiny_model: Path, tmp_path: Path
) -> None:
    project = Project(tmp_path / "project", two_nodes.address)
    project.folder.mkdir()
    student = {
        "student": "tiny",
        "version": 1,
        "model": str(tiny_model),
        "tune": {"method": "full"},
        "data": {"rationale": "after", "max_input": 64, "max_target": 32},
        "optim": {"lr": 1e-4, "batch": 8, "epochs": 2000},
    }
    engine = {**fake(latency=0.5), "gpus": 1}
    project.write(40, engines={"teacher": engine}, train=student)
    profile = project.folder / "p.yaml"
    profile.write_text(
        "profile: p\nreplicas: {min: 1, max: 8}\nconcurrency: 2\ntrain: {workers: 1}"
    )
    stand_in = [sys.executable, "-m", "tests.integration.logical_gpus", "fit"]
    program = (
        "import sys\nfrom raygen import trainer\nfrom raygen.cli import main\n"
        f"trainer._FIT = {stand_in!r}\nmain(sys.argv[1:])\n"
    )
    words = ["apply", str(project.folder / "recipe.yaml"), "--address", project.address, "--yes"]
    process = subprocess.Popen(
        [sys.executable, "-c", program, *words, "--profile", str(profile), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    deadline = time.monotonic() + WAIT_S
    while not after_growth(events(project)):
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, events(project)[-5:]
        time.sleep(0.5)
    process.send_signal(signal.SIGINT)
    answer, said = process.communicate(timeout=120)
    summary = json.loads(answer)
    assert summary["student"]["error"] is None, said
    found = events(project)
    assert [event["workers"] for event in found if event["event"] == "start"] == [1, 4]
    steps = [event["step"] for event in found if event["event"] == "step"]
    assert steps == list(range(1, len(steps) + 1)), "it goes on from its checkpoint"
    folder = Folder.at(str(project.out))
    (run,) = Dataset(folder).runs(summary["plan"])
    assert run[1]["actors"] == 3, "one of four GPUs was the trainer's"


def after_growth(found: list[dict[str, Any]]) -> bool:
    """Whether a run has taken a step with more workers."""
    names = [event["event"] for event in found]
    return "grow" in names and "step" in names[names.index("grow") :]
