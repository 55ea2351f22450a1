"""Who writes a dataset and who trains on it don't hold each other up, and two may train on one.

Shown by the order of what happens: a process that is frozen is as slow as can be.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.integration.conftest import Project, fake
from tests.integration.fit_runs import (
    BATCH,
    EPOCHS,
    ROWS,
    WAIT_S,
    Generator,
    events,
    fit,
    killed_at_the_end,
    start,
    steps,
    wait_for_checkpoints,
)

pytestmark = pytest.mark.slow


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    with killed_at_the_end() as started:
        yield started


@pytest.fixture
def student_file(tiny_model: Path, tmp_path: Path) -> Path:
    path = tmp_path / "student.yaml"
    path.write_text(
        f"student: tiny\nversion: 1\nmodel: {tiny_model}\ntune: {{method: lora, r: 4, alpha: 8}}\n"
        f"optim: {{lr: 1.0e-3, batch: {BATCH}, epochs: {EPOCHS}}}\n"
        "stream: {shuffle: 16, seed: 3}\ncheckpoint_s: 0\n"
    )
    return path


def test_two_trainers_follow_one_dataset_and_take_the_same_batches_though_one_pauses(
    student_file: Path, tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    """The first is frozen while the dataset grows to its end and the second trains to its own."""
    data, outs = tmp_path / "data", [tmp_path / "one", tmp_path / "two"]
    generator = Generator(data, pause_at=ROWS // 2)
    both = [
        start(fit(student_file, data, "--out", str(out), "--follow", "--json"), processes)
        for out in outs
    ]
    for process, out in zip(both, outs, strict=True):
        wait_for_checkpoints(process, out, 1)
    frozen = working(both[0])
    assert len(frozen) >= 2
    for one in frozen:
        one.suspend()
    reached = len(steps(outs[0], "batch"))
    generator.finish()
    told, err = both[1].communicate(timeout=WAIT_S)
    assert both[1].returncode == 0, err
    assert json.loads(told)["rows"] == ROWS * EPOCHS
    assert len(steps(outs[0], "batch")) <= reached + 1
    for one in frozen:
        one.resume()
    _, err = both[0].communicate(timeout=WAIT_S)
    assert both[0].returncode == 0, err
    first, second = (steps(out, "batch") for out in outs)
    assert sorted(first) == list(range(1, ROWS * EPOCHS // BATCH + 1))
    assert first == second


def test_a_trainer_uses_what_is_there_while_the_generator_makes_nothing(
    student_file: Path, tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    """Of 24 rows those are used whose place in the shuffled order is known: chunks of 4 and 8."""
    data, out = tmp_path / "data", tmp_path / "out"
    there, known = ROWS // 2, (4 + 8) // BATCH
    generator = Generator(data, pause_at=there)
    process = start(fit(student_file, data, "--out", str(out), "--follow", "--json"), processes)
    wait_for_checkpoints(process, out, known)
    assert len(steps(out, "batch")) == known
    assert generator.pause_at == there
    assert events(out, "first_step")[0]["generation_ended"] is False
    generator.finish()
    _, err = process.communicate(timeout=WAIT_S)
    assert process.returncode == 0, err
    assert len(steps(out, "batch")) == ROWS * EPOCHS // BATCH


def working(process: subprocess.Popen[str]) -> list[psutil.Process]:
    """The processes of a run that train: itself, and the workers of its own Ray."""
    driver = psutil.Process(process.pid)
    workers = [
        one
        for one in driver.children(recursive=True)
        if " ".join(one.cmdline()).startswith("ray::")
    ]
    return [driver, *workers]


def trainers(apply: subprocess.Popen[str], address: str) -> list[psutil.Process]:
    """The processes of an apply's training: its driver, and its workers on the cluster."""
    found = [
        process
        for process in psutil.Process(apply.pid).children(recursive=True)
        if "streamtrain.cli" in " ".join(process.cmdline())
    ]
    for process in psutil.process_iter(["cmdline"]):
        words = " ".join(process.info["cmdline"] or [])
        if words.startswith("ray::") and "Train" in words:
            parents = " ".join(" ".join(parent.cmdline()) for parent in process.parents())
            found += [process] if address in parents else []
    return found


def test_a_trainer_that_stands_still_holds_the_generator_up_in_nothing(
    project: Project, tiny_model: Path
) -> None:
    student = {
        "student": "tiny",
        "version": 1,
        "model": str(tiny_model),
        "tune": {"method": "full"},
        "data": {"rationale": "after", "max_input": 256, "max_target": 128},
        "optim": {"lr": 1e-3, "batch": 8, "epochs": 1},
    }
    project.write(150, engines={"teacher": fake(latency=1.0)}, train=student)
    profile = project.folder / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 4\n")
    out = project.out / "student"
    process = project.start("--profile", str(profile))
    project.wait_for(lambda: bool(events(out, "step")), process)
    frozen = trainers(process, project.address)
    assert len(frozen) >= 2
    for one in frozen:
        one.suspend()
    try:
        reached = len(events(out, "step"))
        assert project.status()["pending"] > 0
        project.wait_for(lambda: project.status()["pending"] == 0, process)
        assert len(events(out, "step")) <= reached + 1
        assert process.poll() is None
    finally:
        for one in frozen:
            one.resume()
    told, err = process.communicate(timeout=240)
    assert process.returncode == 0, err
    summary = json.loads(told)
    assert summary["student"]["error"] is None
    assert json.loads((out / "result.json").read_text())["rows"] == len(project.examples())
