"""Loggers: by name, refused where they are not installed, and the same run after a resume."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from raygen.config.document import ProblemsError, load_document
from streamtrain.config.student import StudentConfig, parse_config
from streamtrain.errors import InputError
from streamtrain.run.events import Metrics
from streamtrain.run.loggers import missing, open_loggers
from streamtrain.run.spec import RunOptions, make_run_spec

MINIMAL = "student: s\nversion: 1\nmodel: org/m\n"


def config(*names: str) -> StudentConfig:
    return StudentConfig.model_validate(
        {"student": "s", "version": 1, "model": "m", "log": names, "optim": {"lr": 0.5}}
    )


class FakeWandb(ModuleType):
    """A fake of the package: it keeps what it is told, by run."""

    def __init__(self) -> None:
        super().__init__("wandb")
        self.runs: dict[str, list[Mapping[str, Any]]] = {}
        self.started: list[dict[str, Any]] = []
        self.axes: list[tuple[str, str | None]] = []
        self.finished = 0
        self.errors = SimpleNamespace(Error=type("Error", (Exception,), {}))
        self.refuses = False

    def init(self, **settings: Any) -> Any:
        if self.refuses:
            raise self.errors.Error("no API key configured")
        self.started.append(settings)
        name = settings["id"] or f"made-{len(self.runs)}"
        taken = self.runs.setdefault(name, [])

        def define(metric: str, step_metric: str | None = None) -> None:
            self.axes.append((metric, step_metric))

        def finish() -> None:
            self.finished += 1

        return SimpleNamespace(id=name, log=taken.append, define_metric=define, finish=finish)


@pytest.fixture
def wandb(monkeypatch: pytest.MonkeyPatch) -> FakeWandb:
    fake = FakeWandb()
    monkeypatch.setitem(sys.modules, "wandb", fake)
    return fake


def test_wandb_gets_each_number_at_its_optimizer_step(tmp_path: Path, wandb: FakeWandb) -> None:
    metrics = Metrics(tmp_path / "metrics.jsonl", open_loggers(config("wandb"), tmp_path))
    metrics.event("start", workers=2)
    metrics.event("step", step=3, loss=1.5, batch="abc", utilisation=None)
    metrics.event("eval", step=3, when="before", accuracy=0.25, best=True)
    metrics.close()
    assert wandb.runs == {
        "made-0": [
            {"step/loss": 1.5, "optimizer_step": 3},
            {"eval_before/accuracy": 0.25, "optimizer_step": 3},
        ]
    }
    assert wandb.axes == [("optimizer_step", None), ("*", "optimizer_step")]
    assert wandb.started[0]["config"]["optim"]["lr"] == 0.5
    assert wandb.finished == 1


def test_a_resumed_run_is_the_same_wandb_run(tmp_path: Path, wandb: FakeWandb) -> None:
    for step in (5, 4):
        (logger,) = open_loggers(config("wandb"), tmp_path)
        logger.log({"loss": 1.0}, step)
        logger.close()
    (steps,) = wandb.runs.values()
    assert [one["optimizer_step"] for one in steps] == [5, 4]
    assert [one["resume"] for one in wandb.started] == [None, "allow"]


def test_tensorboard_gets_a_file_of_events(tmp_path: Path) -> None:
    for logger in open_loggers(config("tensorboard"), tmp_path):
        logger.log({"loss": 1.0}, 1)
        logger.close()
    assert list((tmp_path / "tensorboard").glob("events.*"))


def test_a_logger_that_refuses_says_what_to_do_and_closes_the_others(
    tmp_path: Path, wandb: FakeWandb
) -> None:
    wandb.refuses = True
    with pytest.raises(InputError, match=r"no API key configured; set WANDB_API_KEY"):
        open_loggers(config("tensorboard", "wandb"), tmp_path)
    assert not (tmp_path / "loggers.json").exists()


def test_what_is_not_installed_is_an_error_before_the_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtrain.run.loggers.find_spec", lambda name: None)
    assert missing(["mlflow"]) == [
        "log: mlflow is not installed; run `pip install mlflow-skinny`, or take it out"
    ]
    path = tmp_path / "student.yaml"
    path.write_text(MINIMAL + "log: [tensorboard, wandb]\n")
    document = load_document(path)
    with pytest.raises(ProblemsError) as caught:
        make_run_spec(document, parse_config(document), tmp_path, RunOptions("data"))
    problems = [(problem.line, problem.message[:27]) for problem in caught.value.problems]
    assert problems == [(4, "log: tensorboard is not ins"), (4, "log: wandb is not installed")]


def test_an_unknown_logger_is_refused() -> None:
    with pytest.raises(ValueError, match="'tensorboard', 'wandb' or 'mlflow'"):
        config("comet")


def test_wandb_itself_offline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, where it is installed."""
    pytest.importorskip("wandb")
    monkeypatch.setenv("WANDB_MODE", "offline")
    for step in (2, 1):
        metrics = Metrics(tmp_path / "metrics.jsonl", open_loggers(config("wandb"), tmp_path))
        metrics.event("step", step=step, loss=1.0)
        metrics.close()
    name = json.loads((tmp_path / "loggers.json").read_text())["wandb"]
    assert len(list((tmp_path / "wandb").glob(f"offline-run-*-{name}"))) >= 1


def test_mlflow_itself_with_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The real package, where it is installed."""
    mlflow = pytest.importorskip("mlflow")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", (tmp_path / "runs").as_uri())
    monkeypatch.setenv("MLFLOW_ALLOW_FILE_STORE", "true")
    for step in (2, 1):
        metrics = Metrics(tmp_path / "metrics.jsonl", open_loggers(config("mlflow"), tmp_path))
        metrics.event("step", step=step, loss=float(step))
        metrics.close()
    client = mlflow.tracking.MlflowClient()
    name = json.loads((tmp_path / "loggers.json").read_text())["mlflow"]
    run = client.get_run(name)
    assert run.info.status == "FINISHED"
    assert run.data.params["optim.lr"] == "0.5"
    history = client.get_metric_history(name, "step/loss")
    assert sorted((one.step, one.value) for one in history) == [(1, 1.0), (2, 2.0)]
