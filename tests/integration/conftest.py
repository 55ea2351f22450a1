"""Real things for integration tests: a Ray cluster, recipes on disk, `raygen` as a process."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import pytest_asyncio
import yaml
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.engines.base import Engine, EngineSpec
from raygen.engines.registry import start_engine
from tests.integration.bundled import RealEngine

ANSWERS = [
    "Think of it. So the answer is: (a)",
    "One reason. So the answer is: (b)",
    "Well. So the answer is: (c)",
    "I can't tell.",
]


@contextmanager
def ray_cluster() -> Iterator[str]:
    """The address of a Ray cluster of its own with four logical CPUs; it has our environment."""
    from ray.cluster_utils import Cluster

    # Ray's socket paths must stay short.
    with tempfile.TemporaryDirectory(prefix="ray", dir="/tmp") as folder:
        cluster = Cluster(
            initialize_head=True,
            head_node_args={
                "num_cpus": 4,
                "include_dashboard": False,
                "_system_config": None,
                "temp_dir": folder,
                "object_store_memory": 200_000_000,
                "include_log_monitor": False,
            },
        )
        yield str(cluster.address)
        cluster.shutdown()


@pytest.fixture(scope="session")
def ray_address() -> Iterator[str]:
    """The address of a Ray cluster for all tests."""
    with ray_cluster() as address:
        yield address


@dataclass(frozen=True)
class Project:
    """A folder with a source and a recipe on the fake engine, and ways to run `raygen` there."""

    folder: Path
    address: str

    @property
    def out(self) -> Path:
        return self.folder / "out"

    def write(self, rows: int, **changes: Any) -> Path:
        """Write source and recipe; `changes` replace top-level sections of the recipe."""
        with (self.folder / "source.jsonl").open("w") as file:
            for i in range(rows):
                row = {"question": f"Question {i}?", "choices": ["x", "y", "z"], "answer": i % 3}
                file.write(json.dumps(row) + "\n")
        recipe = {
            "recipe": "test",
            "version": 1,
            "source": {"path": "source.jsonl"},
            "task": "multiple_choice",
            "engines": {"teacher": fake(latency=0.02)},
            "graph": {
                "rationales": {
                    "op": "sample_rationales",
                    "from": "source",
                    "engine": "teacher",
                    "n": 4,
                },
                "correct": {
                    "op": "filter",
                    "from": "rationales",
                    "where": "predicted == answer",
                    "reason": "wrong_answer",
                },
            },
            "output": {"from": "correct", "path": "out"},
        }
        path = self.folder / "recipe.yaml"
        path.write_text(yaml.safe_dump({**recipe, **changes}, sort_keys=False))
        return path

    def start(self, *words: str) -> subprocess.Popen[str]:
        """`raygen apply` on the cluster, as a process."""
        command = [sys.executable, "-m", "raygen.cli", "apply", str(self.folder / "recipe.yaml")]
        return subprocess.Popen(
            [*command, "--address", self.address, "--yes", "--json", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "80"},
            cwd=self.folder,
        )

    def apply(self, *words: str, code: int = 0) -> dict[str, Any]:
        """Run `raygen apply` in this process, check its exit code, and return its summary."""
        words = ("apply", "recipe.yaml", "--address", self.address, "--yes", "--json", *words)
        with contextlib.chdir(self.folder):
            done = CliRunner().invoke(main, words)
        return _summary(done.exit_code, done.stdout, done.stderr, code)

    def ends(self, process: subprocess.Popen[str], code: int = 0) -> dict[str, Any]:
        """Wait for the end of a run, check its exit code, and return its summary."""
        out, err = process.communicate(timeout=240)
        return _summary(process.returncode, out, err, code)

    def status(self) -> dict[str, Any]:
        """`raygen status --json`."""
        done = CliRunner().invoke(main, ["status", str(self.out), "--json"])
        assert done.exit_code == 0, done.stderr
        status: dict[str, Any] = json.loads(done.stdout)
        assert (
            status["kept"] + status["dropped"] + status["failed"] + status["pending"]
            == status["source"]
        )
        return status

    def wait_for(self, what: Callable[[], bool], process: subprocess.Popen[str]) -> None:
        """Wait until something is so; fails where the process ends before."""
        deadline = time.monotonic() + 120
        while not what():
            assert process.poll() is None, process.communicate()[1]
            assert time.monotonic() < deadline
            time.sleep(0.05)

    def recovers(self, process: subprocess.Popen[str], before: int) -> float:
        """Seconds until the ledger has more rows than before, or the run has ended."""
        begun = time.monotonic()
        while process.poll() is None:
            if self.committed() > before:
                break
            assert time.monotonic() < begun + 240
            time.sleep(0.1)
        return time.monotonic() - begun

    def examples(self) -> pl.DataFrame:
        """The examples, by id."""
        return pl.read_delta(str(self.out / "examples")).sort("id")

    def ledger(self) -> pl.DataFrame:
        """The ledger, by key; empty while the table is being made."""
        if not (self.out / "rows" / "_delta_log" / f"{0:020d}.json").exists():
            return pl.DataFrame(schema={"key": pl.String})
        return pl.read_delta(str(self.out / "rows")).sort("key")

    @property
    def begun(self) -> bool:
        """Whether the ledger has a first version; its folder is there a moment before."""
        return any((self.out / "rows" / "_delta_log").glob("*.json"))

    def committed(self) -> int:
        """How many rows the ledger has."""
        return len(self.ledger()) if self.begun else 0


def _summary(code: int, out: str, err: str, expected: int) -> dict[str, Any]:
    """What a run that ended with the expected exit code printed; `error` where it is no summary."""
    assert code == expected, err
    assert "Traceback" not in err
    summary: dict[str, Any] = json.loads(out) if out.strip() else {"error": err}
    return summary


UNDISTURBED_ROWS = 160


@pytest.fixture(scope="session")
def undisturbed_examples(
    tmp_path_factory: pytest.TempPathFactory, ray_address: str
) -> pl.DataFrame:
    """The examples of `UNDISTURBED_ROWS` rows, made by a run that nothing disturbs."""
    project = Project(tmp_path_factory.mktemp("undisturbed"), ray_address)
    project.write(UNDISTURBED_ROWS)
    project.apply()
    return project.examples()


def of_first(examples: pl.DataFrame, rows: int) -> pl.DataFrame:
    """The examples that come from the first rows of a project's source."""
    number = pl.col("question").str.extract(r"(\d+)").cast(pl.Int64)
    return examples.filter(number < rows)


@pytest.fixture
def project(tmp_path: Path, ray_address: str) -> Project:
    """An empty project on the session's Ray cluster."""
    return Project(tmp_path, ray_address)


def fake(*answers: Any, latency: float = 0.0) -> dict[str, Any]:
    """The fake engine as a recipe names it."""
    args = {"answers": list(answers or ANSWERS), "latency": latency}
    return {"model": "fake", "backend": "fake", "args": args}


def kill(process: subprocess.Popen[str]) -> None:
    """End a process the hard way."""
    process.send_signal(signal.SIGKILL)
    process.wait()


BUNDLED = "bundled:smollm2-135m-instruct"


@pytest.fixture(scope="session")
def embedded() -> Iterator[RealEngine]:
    """The bundled model in this process, which can be looked into, as an op's engine `teacher`."""
    args = {"steps": 8}
    engine = RealEngine(EngineSpec("teacher", BUNDLED, backend="transformers", args=args))
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def bundled_vllm() -> Iterator[RealEngine]:
    """The bundled model on vLLM, as an op's engine `teacher`."""
    args = {"max_model_len": 1024, "max_num_seqs": 16}
    engine = RealEngine(EngineSpec("teacher", BUNDLED, args=args))
    yield engine
    engine.close()


@pytest.fixture(params=["transformers", pytest.param("vllm", marks=pytest.mark.slow)])
def bundled_teacher(request: pytest.FixtureRequest) -> RealEngine:
    """The bundled model as an op's engine `teacher`; vLLM takes most of a minute to start."""
    name = "embedded" if request.param == "transformers" else "bundled_vllm"
    engine: RealEngine = request.getfixturevalue(name)
    return engine


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def vllm_engine(tiny_adapter: Path) -> AsyncIterator[Engine]:
    """The tiny model with its adapter on vLLM, which takes half a minute to start."""
    before = dict(os.environ)
    # Few tokens at a time, so that prompts have to wait for each other.
    args = {"max_num_seqs": 16, "max_model_len": 256, "max_num_batched_tokens": 256}
    started = await start_engine(EngineSpec("tiny", str(tiny_adapter), args=args))
    yield started
    await started.close()
    os.environ.clear()
    os.environ.update(before)
