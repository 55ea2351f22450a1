"""`raygen apply` with `train:`, killed while its student trains, goes on with both."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.integration.conftest import Project, fake, kill

pytestmark = pytest.mark.slow


def events(project: Project) -> list[dict[str, Any]]:
    """What the trainer has said so far."""
    path = project.out / "student" / "metrics.jsonl"
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines() if line.endswith("}")]


@pytest.fixture
def student(project: Project, tiny_model: Path) -> dict[str, Any]:
    """A student's section, with questions held out for it."""
    held_out = project.folder / "held_out.jsonl"
    held_out.write_text(
        "".join(
            json.dumps({"question": f"New {i}?", "choices": ["x", "y", "z"], "answer": i % 3})
            + "\n"
            for i in range(6)
        )
    )
    return {
        "student": "tiny",
        "version": 1,
        "model": str(tiny_model),
        "tune": {"method": "full"},
        "data": {"rationale": "after", "max_input": 256, "max_target": 128},
        "optim": {"lr": 1e-3, "batch": 8, "epochs": 2},
        "checkpoint_s": 0.5,
        "evaluate": {"report": "held_out.jsonl"},
    }


def training(project: Project, student: dict[str, Any]) -> subprocess.Popen[str]:
    """`raygen apply`, slow to generate, once its student has a checkpoint."""
    project.write(150, engines={"teacher": fake(latency=1.0)}, train=student)
    profile = project.folder / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 4\n")
    process = project.start("--profile", str(profile))
    project.wait_for(lambda: any(e["event"] == "checkpoint" for e in events(project)), process)
    return process


def test_a_killed_apply_resumes_its_student(project: Project, student: dict[str, Any]) -> None:
    process = training(project, student)
    kill(process)
    reached = max(e["step"] for e in events(project) if e["event"] == "step")
    assert project.status()["pending"] > 0

    summary = project.apply()
    assert summary["rows"]["pending"] == 0
    assert summary["student"]["error"] is None
    assert summary["student"]["steps"] > reached
    assert summary["student"]["before"]["total"] == 6
    assert summary["student"]["after"]["total"] == 6
    resumed = [e["step"] for e in events(project) if e["event"] == "step"]
    assert max(resumed) == summary["student"]["steps"]
    again = project.apply()
    assert again["student"]["steps"] == summary["student"]["steps"], "nothing is left to train"


def test_a_killed_trainer_comes_back_while_rows_are_generated(
    project: Project, student: dict[str, Any]
) -> None:
    process = training(project, student)
    for trainer in psutil.Process(process.pid).children(recursive=True):
        if "streamtrain.cli" in trainer.cmdline():
            os.kill(trainer.pid, signal.SIGKILL)
    answer, errors = process.communicate(timeout=400)
    assert process.returncode == 0, errors
    summary = json.loads(answer)
    assert (summary["rows"]["pending"], summary["rows"]["failed"]) == (0, 0)
    assert summary["student"]["error"] is None
    assert summary["student"]["after"]["total"] == 6
    assert [e["event"] for e in events(project)].count("start") == 2
    steps = [e["step"] for e in events(project) if e["event"] == "step"]
    assert set(steps) == set(range(1, summary["student"]["steps"] + 1))


def test_a_student_that_has_learned_out_stops_itself_and_its_generator(
    project: Project, student: dict[str, Any], tmp_path: Path
) -> None:
    questions = [
        {"question": f"Chosen {i}?", "choices": ["x", "y", "z"], "answer": i % 3} for i in range(3)
    ]
    select = project.folder / "select.jsonl"
    select.write_text("".join(json.dumps(question) + "\n" for question in questions))
    student["evaluate"] |= {"select": "select.jsonl", "every": 1, "patience": 1, "threshold": 1.0}
    student["optim"] |= {"lr": 1e-9, "epochs": 9}
    project.write(2000, engines={"teacher": fake(latency=1.0)}, train=student)
    profile = tmp_path / "slow.yaml"
    profile.write_text("profile: slow\nconcurrency: 4\n")
    summary = project.apply("--profile", str(profile))
    assert summary["outcome"] == "stopped"
    assert "learned out" in summary["message"]
    assert 0 < summary["rows"]["pending"] < 2000
    assert summary["student"]["error"] is None
    assert events(project)[-1]["reason"] == "plateau"
    assert project.status()["ended"] == "stopped"
