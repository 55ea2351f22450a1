"""Where people run it: no home, a long TMPDIR, files named like libraries, an address of no more.

Each of these ended a run, or hung it, in what Ray or a worker does as it starts.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.integration.conftest import Project

TAKEN = ("pandas", "numpy", "pyarrow", "pydantic", "fsspec", "torch", "difflib", "random", "queue")
"""Libraries and modules of Python's own that a script of the user's may be named like."""


@pytest.fixture
def alone(tmp_path: Path) -> Project:
    """An empty project without a cluster."""
    return Project(tmp_path, "")


def apply(project: Project, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """`raygen apply` as a user has it: given in the project's folder, which Python doesn't search.

    -P does for `python -m` what the installed command does by itself.
    """
    command = [sys.executable, "-P", "-m", "raygen.cli", "apply", "recipe.yaml", "--yes", *words]
    return subprocess.run(
        command,
        cwd=project.folder,
        env={**os.environ, "COLUMNS": "200", **environ},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )


def student(model: Path) -> Mapping[str, Any]:
    """A student that is trained in a step or two."""
    return {
        "student": "tiny",
        "version": 1,
        "model": str(model),
        "tune": {"method": "full"},
        "data": {"rationale": "after", "max_input": 256, "max_target": 128},
        "optim": {"lr": 1e-3, "batch": 4, "epochs": 1},
    }


@pytest.mark.slow
def test_neither_home_nor_tmpdir_nor_names_of_files_keep_a_run_from_its_end(
    alone: Project, tiny_model: Path
) -> None:
    alone.write(8, train=student(tiny_model))
    for name in TAKEN:
        (alone.folder / f"{name}.py").write_text("raise SystemExit('the script of the user')\n")
    long = alone.folder / ("a-folder-for-temporary-files-" * 3)
    long.mkdir()
    done = apply(alone, "--json", HOME="/proc/no-home", TMPDIR=str(long))
    assert done.returncode == 0, done.stderr
    summary = json.loads(done.stdout)
    assert summary["outcome"] == "done"
    assert (summary["rows"]["pending"], summary["rows"]["failed"]) == (0, 0)
    assert summary["student"]["steps"] > 0


@pytest.mark.slow
def test_an_address_of_a_cluster_that_is_gone_is_named_at_once(alone: Project) -> None:
    alone.write(2)
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
    done = apply(alone, RAY_ADDRESS=address)
    assert done.returncode == 1
    assert f"joining Ray at {address} (RAY_ADDRESS)" in done.stdout + done.stderr
    assert f"no Ray cluster answers at {address} (RAY_ADDRESS)" in done.stderr
    assert "unset RAY_ADDRESS" in done.stderr
