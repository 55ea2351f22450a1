"""`streamtrain fit` as a user runs it: a real process, a real dataset that grows, a tiny model."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from click.testing import CliRunner
from safetensors.torch import load_file
from transformers import AutoModelForCausalLM

from streamtrain.cli.main import main
from streamtrain.config.student import parse_config, read_document
from streamtrain.data.dataset import DatasetFeed
from streamtrain.run.spec import RunOptions, make_run_spec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from tests.integration.fit_runs import (
    BATCH,
    EPOCHS,
    ROWS,
    WAIT_S,
    Generator,
    environment,
    events,
    fit,
    killed_at_the_end,
    start,
    steps,
    wait_for_checkpoints,
)


@pytest.fixture(scope="module")
def student_file(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("student")
    questions = [
        {"question": f"Which is {n}?", "choices": ["none", str(n)], "answer": 1} for n in range(6)
    ]
    (folder / "report.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    select = [{**question, "question": f"And {question['question']}"} for question in questions]
    (folder / "select.jsonl").write_text("".join(json.dumps(q) + "\n" for q in select))
    path = folder / "student.yaml"
    path.write_text(
        f"student: tiny\nversion: 1\nmodel: {tiny_model}\ntune: {{method: lora, r: 4, alpha: 8}}\n"
        f"optim: {{lr: 1.0e-3, batch: {BATCH}, epochs: {EPOCHS}}}\n"
        "stream: {shuffle: 16, seed: 3}\ncheckpoint_s: 0\n"
        "evaluate: {report: report.jsonl, select: select.jsonl, every: 6}\n"
    )
    return path


@pytest.fixture(scope="module")
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    with killed_at_the_end() as started:
        yield started


@pytest.fixture(scope="module")
def undisturbed(student_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output of a run over the finished dataset that nothing interrupts, without Ray."""
    folder = tmp_path_factory.mktemp("undisturbed")
    Generator(folder / "data").finish()
    document = read_document(student_file)
    options = RunOptions(str(folder / "data"))
    job = make_run_spec(document, parse_config(document), student_file.parent, options)
    feed = DatasetFeed(job.data, follow=False)
    reason = train(job, SingleProcess(), lambda: feed, lambda: False, torch.device("cpu"))
    assert reason == "end"
    return job.out


@pytest.fixture(scope="module")
def disturbed(
    student_file: Path,
    tmp_path_factory: pytest.TempPathFactory,
    processes: list[subprocess.Popen[str]],
    ray_address: str,
) -> Path:
    """The output of a run that follows a growing dataset with two workers, is killed, goes on with
    one, is asked to stop, and goes on to its end."""
    data = tmp_path_factory.mktemp("disturbed") / "data"
    out = data / "student"
    words = fit(student_file, data, "--address", ray_address)
    first = start([*words, "--follow", "--set", "workers=2"], processes)
    # The chunks of the shuffle hold 4, 8 and 16 rows, so 12 rows are three steps and 28 are seven.
    generator = Generator(data, pause_at=12)
    wait_for_checkpoints(first, out, 3)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    second = start([*words, "--follow", "--resume"], processes)
    # Only now, because the killed run's workers live on until Ray finds out.
    wait_for_checkpoints(second, out, 0, starts=2)
    generator.pause_at = 28
    wait_for_checkpoints(second, out, 2, starts=2)
    second.terminate()
    _, stderr = second.communicate(timeout=WAIT_S)
    assert second.returncode == 1, stderr
    assert "go on with --resume" in stderr
    assert "Traceback" not in stderr
    assert events(out)[-1]["reason"] == "stopped"
    assert not (out / "result.json").exists()

    generator.finish()
    third = start([*words, "--resume", "--json"], processes)
    stdout, stderr = third.communicate(timeout=WAIT_S)
    assert third.returncode == 0, stderr
    assert json.loads(stdout) == json.loads((out / "result.json").read_text())
    return out


def test_the_first_step_comes_while_the_dataset_grows(disturbed: Path) -> None:
    (began,) = events(disturbed, "first_step")
    assert began["generation_ended"] is False
    assert [event["event"] for event in events(disturbed)][:3] == [
        "start",
        "loaded",
        "eval",
    ]
    assert events(disturbed)[-1]["event"] == "end"


def test_after_a_kill_a_stop_and_with_other_workers_the_batches_are_the_same(
    disturbed: Path, undisturbed: Path
) -> None:
    batches = steps(disturbed, "batch")
    assert sorted(batches) == list(range(1, ROWS * EPOCHS // BATCH + 1))
    assert batches == steps(undisturbed, "batch")
    # A repeated step saw the same rows as the first time.
    repeated = [(event["step"], event["batch"]) for event in events(disturbed, "step")]
    assert len(set(repeated)) == len(batches)
    # The losses differ by the schedule alone: a growing dataset's length is learned late.
    for step, loss in steps(undisturbed, "loss").items():
        assert steps(disturbed, "loss")[step] == pytest.approx(loss, rel=0.02)


def test_the_result_is_complete(disturbed: Path) -> None:
    result = json.loads((disturbed / "result.json").read_text())
    assert (result["steps"], result["rows"]) == (ROWS * EPOCHS // BATCH, ROWS * EPOCHS)
    assert result["cut"] == 0
    assert result["tokens"] > result["rows"]
    assert result["generation_ended_at_first_step"] is False
    assert result["before"]["total"] == result["after"]["total"] == 6
    assert result["after"]["low"] <= result["after"]["accuracy"] <= result["after"]["high"]
    assert result["seconds"] > 0
    told = steps(disturbed, "loss")
    assert max(told.values()) < 20
    assert told[len(told)] < told[1]


def test_the_select_set_was_evaluated_while_the_loop_ran_after_every_sixth_step(
    disturbed: Path,
) -> None:
    looks = events(disturbed, "select")
    assert [look["step"] for look in looks] == [6, 12, 18, 24]
    assert all(look["total"] == 6 for look in looks)
    best = max(looks, key=lambda look: look["accuracy"])
    (selected,) = events(disturbed, "selected")
    assert (selected["step"], selected["accuracy"]) == (best["step"], best["accuracy"])
    assert not list((disturbed / "validating").iterdir())


def test_the_student_loads_and_is_evaluated_by_the_command(disturbed: Path) -> None:
    checkpoint = json.loads((disturbed / "result.json").read_text())["checkpoint"]
    assert AutoModelForCausalLM.from_pretrained(checkpoint).config.vocab_size > 0
    questions = disturbed / "held.jsonl"
    questions.write_text('{"question": "Which is 1?", "choices": ["none", "1"], "answer": 1}\n')
    done = CliRunner().invoke(main, ["eval", str(disturbed), "--data", str(questions), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["total"] == 1
    done = CliRunner().invoke(main, ["eval", str(questions.parent / "no"), "--data", "no.jsonl"])
    assert done.exit_code == 2
    assert "no such file" in done.stderr


@pytest.mark.slow
def test_a_dataset_that_is_not_there_and_a_model_that_cannot_be_loaded_are_one_message(
    student_file: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    words = fit(student_file, tmp_path / "nothing", "--set", f"model={tmp_path / 'empty'}")
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "can't load the causal model" in done.stderr
    assert "Traceback" not in done.stderr
    assert events(tmp_path / "nothing" / "student", "error")[0]["user"] is True


@pytest.mark.slow
def test_two_sharded_workers_are_killed_and_one_alone_goes_on(
    student_file: Path,
    tmp_path: Path,
    undisturbed: Path,
    processes: list[subprocess.Popen[str]],
) -> None:
    """FSDP2 by one key: the same steps as one worker takes, and the same student in the end."""
    Generator(tmp_path / "data").finish()
    out = tmp_path / "out"
    words = fit(student_file, tmp_path / "data", "--out", str(out), "--set", "parallel=fsdp")
    first = start([*words, "--set", "workers=2"], processes)
    wait_for_checkpoints(first, out, 9)
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    second = start([*words, "--resume", "--json"], processes)
    _, stderr = second.communicate(timeout=WAIT_S)
    assert second.returncode == 0, stderr
    assert steps(out, "batch") == steps(undisturbed, "batch")
    for step, loss in steps(undisturbed, "loss").items():
        assert steps(out, "loss")[step] == pytest.approx(loss, rel=1e-3)
    ours, theirs = (
        load_file(run / "final" / "adapter_model.safetensors") for run in (out, undisturbed)
    )
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=1e-2, atol=1e-3)


@pytest.mark.slow
def test_several_seeds_are_trained_and_each_votes_on_its_report_set(
    student_file: Path, tmp_path: Path
) -> None:
    Generator(tmp_path / "data").finish()
    words = fit(student_file, tmp_path / "data", "--out", str(tmp_path / "runs"), "--seeds", "2")
    words += ["--set", "evaluate.samples=3", "--set", "optim.epochs=1", "--json"]
    done = subprocess.run(words, env=environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert [run["seed"] for run in told["runs"]] == [3, 4]
    assert all(run["vote"]["total"] == run["after"]["total"] == 6 for run in told["runs"])
    assert told["accuracy"]["mean"] == pytest.approx(
        sum(run["after"]["accuracy"] for run in told["runs"]) / 2
    )
    first, second = (steps(tmp_path / "runs" / f"seed-{seed}", "batch") for seed in (3, 4))
    assert sorted(first) == sorted(second)
    assert first != second
    kept = {path.name for path in (tmp_path / "runs" / "seed-3" / "evaluations").iterdir()}
    assert kept == {"report", "report.vote3"}
    shown = CliRunner().invoke(main, ["compare", *map(str, sorted((tmp_path / "runs").iterdir()))])
    assert "mean of 2" in shown.output
