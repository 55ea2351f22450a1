"""The disk is full or can't be written: a clear end, nothing torn, and the run goes on once it can.

Needs to mount file systems of its own, which most machines allow to root alone; skipped elsewhere.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.integration.conftest import Project
from tests.integration.test_faults_driver import nothing_is_left_over

_UNMOUNT = ("umount", "-l")
Mount = Callable[[Path, str], None]


@pytest.fixture
def mount() -> Iterator[Mount]:
    """Mounts an empty file system in memory at a folder, with options as `mount -o` takes them."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a file system to fill")
    mounted: list[Path] = []

    def do(folder: Path, options: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        words = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
        if done.returncode:
            pytest.skip(f"no file system can be mounted here: {done.stderr.strip()}")
        mounted.append(folder)

    yield do
    for folder in mounted:
        subprocess.run([*_UNMOUNT, str(folder)], check=True)


def remount(folder: Path, options: str) -> None:
    words = ["mount", "-o", f"remount,{options}", str(folder)]
    subprocess.run(words, check=True, capture_output=True)


def test_a_disk_that_is_full_ends_the_run_and_it_goes_on_when_there_is_room(
    project: Project, mount: Mount
) -> None:
    mount(project.out, "size=1500k")
    project.write(400)
    chance = random.Random(0)
    with (project.folder / "source.jsonl").open("w") as file:
        for _ in range(400):
            row = {"question": chance.randbytes(2000).hex(), "choices": ["x", "y"], "answer": 0}
            file.write(json.dumps(row) + "\n")
    summary = project.apply(code=1)
    told = summary.get("message") or summary["error"]
    assert "No space left" in told or "full" in told
    remount(project.out, "size=200m")
    status = project.status()
    assert status["pending"] > 0
    assert status["failed"] == 0
    done = project.apply()
    assert done["rows"]["pending"] == done["rows"]["failed"] == 0
    nothing_is_left_over(project)


def test_an_output_that_cannot_be_written_is_refused_before_an_engine_starts(
    project: Project, mount: Mount
) -> None:
    mount(project.out, "ro,size=1m")
    project.write(10)
    summary = project.apply(code=1)
    told = summary.get("message") or summary["error"]
    assert "Read-only file system" in told
    assert str(project.out) in told
