"""`kill -9` of training runs, for real: of all of it, of rank 0, of another worker, at several
places, for each kind of student; what goes on is held against a run that nothing disturbed."""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import pytest
import torch

from raygen.core.row import ColumnType, digest
from raygen.dataset.records import RowResult
from streamtrain.config.student import parse_config, read_document
from streamtrain.data.dataset import DatasetFeed
from streamtrain.run.spec import RunOptions, make_run_spec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from tests.integration.fit_runs import (
    COLUMNS,
    ROWS,
    WAIT_S,
    Generator,
    events,
    fit,
    killed_at_the_end,
    result_row,
    start,
    steps,
    wait_for_checkpoints,
)
from tests.local.streamtrain.models import test_classifier as test_streamtrain_classifier
from tests.local.streamtrain.models import test_seq2seq as test_streamtrain_seq2seq

LABELS = ("positive", "negative")
PAIR_COLUMNS: Mapping[str, ColumnType] = {
    "group": "string",
    "variant": "string",
    "text": "string",
    "label": "string",
}


def pair_row(number: int) -> RowResult:
    """A source row that became an original and its counterfactual."""
    pair = tuple(
        {
            "id": f"example-{number}-{variant}",
            "node": "joined",
            "group": str(number),
            "variant": variant,
            "text": f"The film was {number} " * (1 + number % 3) + word,
            "label": label,
        }
        for variant, label, word in (
            ("original", "positive", "good"),
            ("counterfactual", "negative", "bad"),
        )
    )
    return RowResult(digest(number), "kept", pair, (), (), None, 0.0, {})


@dataclass(frozen=True)
class Case:
    """A kind of student and its rows; `model` makes a tiny one from (folder, tiny_model)."""

    kind: str
    model: Callable[[Path, Path], Path]
    settings: Mapping[str, Any] = field(default_factory=dict)
    row: Callable[[int], RowResult] = result_row
    columns: Mapping[str, ColumnType] = field(default_factory=lambda: COLUMNS)


CAUSAL = Case("causal", lambda _, tiny: tiny)
SEQ2SEQ = Case("seq2seq", lambda at, tiny: test_streamtrain_seq2seq.family("t5", at, tiny))
PAIRS = Case(
    "classifier",
    lambda at, tiny: test_streamtrain_classifier.family("bert", at, tiny),
    {"data": {"labels": list(LABELS), "pairs": True}, "objective": {"paired": 0.5}},
    pair_row,
    PAIR_COLUMNS,
)


@pytest.fixture
def processes() -> Iterator[list[subprocess.Popen[str]]]:
    with killed_at_the_end() as started:
        yield started


def student(case: Case, folder: Path, tiny_model: Path, **more: Any) -> Path:
    (folder / "model").mkdir(parents=True)
    settings = {
        "student": "tiny",
        "version": 1,
        "model": str(case.model(folder / "model", tiny_model)),
        "kind": case.kind,
        "tune": {"method": "full"},
        "optim": {"lr": 1e-3, "batch": 4, "epochs": 2},
        "stream": {"shuffle": 16, "seed": 3},
        "checkpoint_s": 0,
        **case.settings,
        **more,
    }
    path = folder / "student.yaml"
    path.write_text(json.dumps(settings))
    return path


def undisturbed(case: Case, path: Path, folder: Path) -> Path:
    """The output of the same run over the finished dataset, without Ray."""
    Generator(folder / "data", row=case.row, columns=case.columns).finish()
    document = read_document(path)
    options = RunOptions(str(folder / "data"))
    job = make_run_spec(document, parse_config(document), path.parent, options)
    feed = DatasetFeed(job.data, follow=False)
    assert train(job, SingleProcess(), lambda: feed, lambda: False, torch.device("cpu")) == "end"
    return job.out


def same_batches(out: Path, whole: Path) -> None:
    """Every step saw the rows of the undisturbed run, also those that were taken twice."""
    assert steps(out, "batch") == steps(whole, "batch")
    taken = {(event["step"], event["batch"]) for event in events(out, "step")}
    assert len(taken) == len(steps(whole, "batch"))


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("case", [CAUSAL, SEQ2SEQ, PAIRS], ids=lambda case: case.kind)
def test_killed_at_any_place_while_the_dataset_grows_and_resumed_with_other_workers(
    tiny_model: Path,
    tmp_path: Path,
    processes: list[subprocess.Popen[str]],
    case: Case,
    seed: int,
    record_property: Callable[[str, object], None],
) -> None:
    chance = random.Random(f"{case.kind}:{seed}")
    path = student(case, tmp_path / "student", tiny_model)
    whole = undisturbed(case, path, tmp_path / "whole")
    data = tmp_path / "grown"
    # 12 rows are the chunks of 4 and 8, enough for three steps or six; then all of 28 or 44.
    pause_at, later = 12, chance.choice([28, 44])
    generator = Generator(data, pause_at, case.row, case.columns)
    workers = chance.sample([1, 2], 2)
    first = start(fit(path, data, "--follow", "--set", f"workers={workers[0]}"), processes)
    wait_for_checkpoints(first, data / "student", chance.randint(1, 3))
    os.killpg(first.pid, signal.SIGKILL)
    first.communicate()
    resumed = fit(path, data, "--follow", "--resume", "--set", f"workers={workers[1]}")
    resumed_at = time.time()
    second = start(resumed, processes)
    # Only now, because the killed run's workers live on until Ray finds out.
    wait_for_checkpoints(second, data / "student", 0, starts=2)
    generator.pause_at = later
    wait_for_checkpoints(second, data / "student", chance.randint(1, 4), starts=2)
    starts, taken = (events(data / "student", name) for name in ("start", "step"))
    first_at = min(each["time"] for each in taken if each["time"] > starts[-1]["time"])
    record_property("recovery_s", first_at - resumed_at)
    os.killpg(second.pid, signal.SIGKILL)
    second.communicate()
    generator.finish()
    third = start(fit(path, data, "--resume"), processes)
    _, stderr = third.communicate(timeout=WAIT_S)
    assert third.returncode == 0, stderr
    same_batches(data / "student", whole)


def train_workers(process: subprocess.Popen[str], out: Path) -> dict[bool, psutil.Process]:
    """The processes of two workers, by whether they are rank 0, which writes the events."""
    found = {}
    for child in psutil.Process(process.pid).children(recursive=True):
        if "TrainWorker" in " ".join(child.cmdline()):
            opened = {file.path for file in child.open_files()}
            found[str(out / "metrics.jsonl") in opened] = child
    assert set(found) == {True, False}, found
    return found


@pytest.mark.slow
@pytest.mark.parametrize("rank_0", [True, False], ids=["rank 0", "rank 1"])
def test_a_worker_that_is_killed_alone_comes_back_and_the_run_goes_on(
    tiny_model: Path,
    tmp_path: Path,
    processes: list[subprocess.Popen[str]],
    rank_0: bool,
    record_property: Callable[[str, object], None],
) -> None:
    path = student(CAUSAL, tmp_path / "student", tiny_model)
    whole = undisturbed(CAUSAL, path, tmp_path / "whole")
    data = tmp_path / "grown"
    generator = Generator(data, pause_at=12)
    run = start(fit(path, data, "--follow", "--set", "workers=2"), processes)
    wait_for_checkpoints(run, data / "student", 2)
    killed_at = time.time()
    train_workers(run, data / "student")[rank_0].kill()
    generator.finish()
    stdout, stderr = run.communicate(timeout=WAIT_S)
    assert run.returncode == 0, stderr
    (restart,) = events(data / "student", "restart")
    assert (0 if rank_0 else 1) in restart["workers"]
    assert "died; all go on from the last checkpoint" in stdout
    after = [each["time"] for each in events(data / "student", "step")]
    record_property("recovery_s", min(at for at in after if at > restart["time"]) - killed_at)
    same_batches(data / "student", whole)


@pytest.mark.slow
def test_workers_that_die_again_and_again_without_getting_further_end_the_run(
    tiny_model: Path, tmp_path: Path, processes: list[subprocess.Popen[str]]
) -> None:
    path = student(CAUSAL, tmp_path / "student", tiny_model, checkpoint_s=1000)
    data = tmp_path / "grown"
    Generator(data, pause_at=4)
    run = start(fit(path, data, "--follow", "--set", "workers=2"), processes)
    deadline = time.monotonic() + WAIT_S
    for begun in range(1, 4):
        while len(events(data / "student", "start")) < begun:
            assert time.monotonic() < deadline
            assert run.poll() is None, run.communicate()
            time.sleep(0.1)
        train_workers(run, data / "student")[False].kill()
    _, stderr = run.communicate(timeout=WAIT_S)
    assert run.returncode == 1
    assert len(events(data / "student", "restart")) == 2
    assert "training failed" in stderr
    assert "Traceback" not in stderr


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_steps_that_replayed_rows_are_taken_again_with_another_number_of_workers(
    tiny_model: Path, tmp_path: Path, processes: list[subprocess.Popen[str]], seed: int
) -> None:
    """By the recorded decisions: the resumed run finds more rows than the killed one knew."""
    chance = random.Random(seed)
    more = {"stream": {"starved": "replay", "shuffle": 16, "seed": 3}, "checkpoint_s": 1000}
    path = student(CAUSAL, tmp_path / "student", tiny_model, **more)
    data = tmp_path / "grown"
    out = data / "student"
    generator = Generator(data, pause_at=12)
    first = start(fit(path, data, "--follow", "--set", "workers=2"), processes)
    # 12 rows twice are six steps, of which the last three replay; none is in a checkpoint.
    replayed = 4 + chance.randint(0, 2)
    deadline = time.monotonic() + WAIT_S
    while len(events(out, "step")) < replayed:
        assert time.monotonic() < deadline
        assert first.poll() is None, first.communicate()
        time.sleep(0.02)
    # The workers too, which would live on for a moment and see the dataset grow.
    workers = train_workers(first, out)
    os.killpg(first.pid, signal.SIGKILL)
    for worker in workers.values():
        worker.kill()
    first.communicate()
    before = steps(out, "batch")
    assert len(before) >= replayed
    generator.finish()
    second = start(fit(path, data, "--resume"), processes)
    _, stderr = second.communicate(timeout=WAIT_S)
    assert second.returncode == 0, stderr
    after = steps(out, "batch")
    assert {step: after[step] for step in before} == before
    taken = [event["step"] for event in events(out, "step")]
    assert all(taken.count(step) == 2 for step in before)
    assert sorted(after) == list(range(1, ROWS * 2 // 4 + 1))
