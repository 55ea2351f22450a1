"""The quick start from end to end: the bundled model on real vLLM, its student on Ray Train.

The commands are those of `make quickstart` and the README, on fewer rows and in another folder.
"""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from raygen.cli.main import main as raygen
from streamtrain.cli.main import main as streamtrain

COMMANDS = {"raygen": raygen, "streamtrain": streamtrain}
ROOT = Path(__file__).parents[2]

pytestmark = [pytest.mark.bundled, pytest.mark.timeout(600)]


HELD_OUT = "recipes/data/everyday_heldout.jsonl"
QUESTIONS = 4


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """The first questions of the held-out set: each is read three times."""
    path = tmp_path / "held_out.jsonl"
    path.write_text("".join((ROOT / HELD_OUT).read_text().splitlines(keepends=True)[:QUESTIONS]))
    return path


def look(command: str, *more: str, out: Path) -> str:
    """Run a command of the README as `run` does, but in this process, where all is loaded."""
    words = command.replace("out/quickstart", str(out)).split()
    with contextlib.chdir(ROOT):
        done = CliRunner().invoke(COMMANDS[words[0]], [*words[1:], *more])
    assert done.exit_code == 0, done.stderr
    return done.stdout


def run(command: str, *more: str, out: Path) -> str:
    """Run a command of the README with its output folder moved; returns what it prints."""
    words = command.replace("out/quickstart", str(out)).split()
    module = f"{words[0]}.cli"
    done = subprocess.run(
        [sys.executable, "-m", module, *words[1:], *more],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def test_two_cores_make_a_dataset_and_a_student(tmp_path: Path, held_out: Path) -> None:
    out = tmp_path / "quickstart"
    fewer = ("--limit", "8", "--set", "train.optim.epochs=1")
    fewer += ("--set", f"train.evaluate.report={held_out}")
    applied = run(
        "raygen apply recipes/quickstart.yaml --yes",
        *(*fewer, "--out", str(out), "--json"),
        out=out,
    )
    summary = json.loads(applied)
    assert summary["rows"]["pending"] == summary["rows"]["failed"] == 0
    assert summary["rows"]["kept"] > 0
    student = summary["student"]
    assert student["error"] is None
    assert student["before"]["total"] == student["after"]["total"] == QUESTIONS
    assert student["trained_while_generating"] in (True, False)

    examples = pl.read_delta(str(out / "examples"))
    assert (examples["predicted"] == examples["answer"]).all()
    assert examples["rationale"].str.len_chars().min() > 0
    steps = [json.loads(line) for line in (out / "student" / "metrics.jsonl").open()]
    losses = [step["loss"] for step in steps if step["event"] == "step"]
    assert losses
    assert all(0 < loss < 20 for loss in losses)

    status = look("raygen status out/quickstart", out=out)
    assert "8" in status
    command = (
        "streamtrain eval out/quickstart/student/final --data recipes/data/everyday_heldout.jsonl"
    )
    again = json.loads(look(command.replace(HELD_OUT, str(held_out)), "--json", out=out))
    assert again["correct"] == student["after"]["correct"], "the saved student is the trained one"


@pytest.mark.slow
def test_the_preview_shows_what_the_teacher_wrote(tmp_path: Path) -> None:
    shown = run("raygen preview recipes/quickstart.yaml -n 3", out=tmp_path)
    assert "So the answer is" in shown
