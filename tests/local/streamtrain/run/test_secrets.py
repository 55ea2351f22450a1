"""Planted secrets are looked for in all that a training run and an evaluation leave and say."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
import torch
from click.testing import CliRunner

from raygen.core.secrets import hide_secrets_in_logs
from streamtrain.cli.main import main
from streamtrain.config.student import parse_config, read_document
from streamtrain.data.dataset import DatasetFeed
from streamtrain.errors import InputError
from streamtrain.run.loggers import open_loggers
from streamtrain.run.spec import RunOptions, make_run_spec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from tests.integration.fit_runs import Generator
from tests.support.secret_forms import leaks, shown_forms

PLANTED = {
    "WANDB_API_KEY": "0123456789planted+wandb/key9876543210abcdef",
    "MLFLOW_TRACKING_PASSWORD": "the-pa55word+of/mlflow",
    "MLFLOW_TRACKING_URI": "https://me:another-pa55word@mlflow.invalid",
    "HF_TOKEN": "hf_PlantedTokenOfTheHub0123456789",
    "AWS_SECRET_ACCESS_KEY": "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
}
SECRETS = [value.partition("//me:")[2].partition("@")[0] or value for value in PLANTED.values()]
ADDRESSES = [
    "https://me:the-pa55word-in-it@host.invalid/q.jsonl",
    "https://host.invalid/q.jsonl?token=the-pa55word-in-it",
]


class Tracker(ModuleType):
    """A fake of wandb that writes down what it is given, and says its key where it can."""

    errors = SimpleNamespace(Error=type("Error", (Exception,), {}))

    def __init__(self, refuses: bool = False) -> None:
        super().__init__("wandb")
        self._refuses = refuses

    def init(self, **settings: Any) -> Any:
        said = f"logged in with {SECRETS[0]} at {PLANTED['MLFLOW_TRACKING_URI']}"
        if self._refuses:
            raise self.errors.Error(said)
        logging.getLogger("wandb").warning("%s", said)
        folder = Path(settings["dir"]) / "wandb"
        folder.mkdir()
        (folder / "settings.json").write_text(json.dumps(settings))
        return SimpleNamespace(
            id="run-1", log=print, define_metric=lambda *_, **__: None, finish=lambda: None
        )


@pytest.fixture
def planted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder for all that is written, also to the temporary folder and the home."""
    for name, value in PLANTED.items():
        monkeypatch.setenv(name, value)
    for name in ("HOME", "TMPDIR", "RAYGEN_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / name))
    monkeypatch.setitem(sys.modules, "wandb", Tracker())
    before = logging.getLogRecordFactory()
    hide_secrets_in_logs()
    yield tmp_path
    logging.setLogRecordFactory(before)


def write_student(folder: Path, model: Path) -> Path:
    questions = [
        {"question": f"{n} or not?", "choices": ["none", str(n)], "answer": 1} for n in range(3)
    ]
    (folder / "report.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    path = folder / "student.yaml"
    path.write_text(
        f"student: tiny\nversion: 1\nmodel: {model}\noptim: {{lr: 1.0e-3, batch: 24}}\n"
        "stream: {shuffle: 24}\nlog: [tensorboard, wandb]\nevaluate: {report: report.jsonl}\n"
    )
    return path


def test_planted_secrets_are_nowhere(
    planted: Path,
    tiny_model: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr("streamtrain.run.loggers.find_spec", lambda name: name)
    data = planted / "data"
    Generator(data).finish()
    path = write_student(planted, tiny_model)
    document = read_document(path)
    job = make_run_spec(document, parse_config(document), planted, RunOptions(str(data)))
    feed = DatasetFeed(job.data, follow=False)
    assert train(job, SingleProcess(), lambda: feed, lambda: False, torch.device("cpu")) == "end"
    questions = str(planted / "report.jsonl")
    said = [
        CliRunner().invoke(main, list(words))
        for words in (
            ("eval", str(job.out), "--data", questions, "--rationales"),
            ("compare", str(job.out)),
            ("fit", str(path), "--check"),
        )
    ]
    assert [each.exit_code for each in said] == [0, 0, 0], [each.output for each in said]
    out, err = capfd.readouterr()
    shown = "\n".join([out, err, caplog.text, *(each.output for each in said)])
    assert "logged in with ***" in shown
    assert [shown_forms(secret, shown) for secret in SECRETS] == [[]] * len(SECRETS)
    assert leaks(planted, SECRETS) == []
    left = {file.relative_to(job.out).parts[0] for file in job.out.rglob("*") if file.is_file()}
    searched = {"final", "metrics.jsonl", "result.json", "tensorboard", "wandb", "evaluations"}
    assert searched <= left


def test_a_tracker_that_refuses_doesnt_say_the_key(
    planted: Path, monkeypatch: pytest.MonkeyPatch, tiny_model: Path
) -> None:
    monkeypatch.setitem(sys.modules, "wandb", Tracker(refuses=True))
    config = parse_config(read_document(write_student(planted, tiny_model)))
    with pytest.raises(InputError, match=r"logged in with \*\*\* at https://\*\*\*") as refused:
        open_loggers(config, planted)
    assert [shown_forms(secret, str(refused.value)) for secret in SECRETS] == [[]] * len(SECRETS)


@pytest.mark.parametrize("address", ADDRESSES)
@pytest.mark.parametrize(
    "words",
    ["fit student.yaml --check --set evaluate.report=ADDRESS",
     "fit student.yaml --check --set model=ADDRESS",
     "fit student.yaml --data ADDRESS --out run",
     "eval run --data ADDRESS"],
)  # fmt: skip
def test_an_address_with_a_password_is_refused_and_not_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, address: str
) -> None:
    monkeypatch.chdir(tmp_path)
    path = write_student(tmp_path, Path("org/model"))
    path.write_text(path.read_text().replace("log: [tensorboard, wandb]\n", ""))
    arguments = [word.replace("ADDRESS", address) for word in words.split(" ")]
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 2
    assert "https://...: " in result.output
    assert "pa55word" not in result.output
    assert not (tmp_path / "run").exists()
