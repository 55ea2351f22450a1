"""How a run ends whatever ends its training, and on which devices it begins; without a cluster."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import CliRunner, Result

from raygen.engines.models import ANONYMOUS
from streamtrain.cli.main import main
from streamtrain.errors import InputError
from streamtrain.training import ray_backend as run_ray
from streamtrain.training.ray_backend import on_gpus


@pytest.fixture
def resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], Result]:
    """`fit --resume` in a folder with the result of an older run, whose training raises an error.

    No cluster is started; the thread that would train raises.
    """
    (tmp_path / "model").mkdir()
    student = tmp_path / "student.yaml"
    student.write_text("student: tiny\nversion: 1\nmodel: ./model\n")
    out = tmp_path / "out"
    (out / "checkpoints").mkdir(parents=True)
    (out / "owner").write_text("0123456789ab")
    (out / "result.json").write_text('{"checkpoint": "an older one"}')
    monkeypatch.setattr(run_ray, "_cluster", lambda job, address: contextlib.nullcontext())
    monkeypatch.setattr(run_ray, "_gpus", lambda: 0.0)

    def fit(error: BaseException) -> Result:
        def train(*_: object) -> None:
            raise error

        monkeypatch.setattr(run_ray, "_until_done", train)
        words = ["fit", str(student), "--data", str(tmp_path / "data"), "--out", str(out)]
        return CliRunner().invoke(main, [*words, "--resume", "--json"])

    return fit


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(28, "No space left on device"), "No space left on device"),
        (KeyError("grow"), "KeyError: 'grow'"),
        (MemoryError(), "MemoryError"),
        (SystemExit(0), "SystemExit"),
    ],
)
def test_any_exception_of_the_training_thread_ends_the_run_with_its_message(
    resume: Callable[[BaseException], Result],
    tmp_path: Path,
    error: BaseException,
    message: str,
) -> None:
    done = resume(error)
    assert done.exit_code == 1, done.output
    assert done.stdout == "", "the result of the older run is no answer"
    assert message in done.stderr
    (line,) = (tmp_path / "out" / "metrics.jsonl").read_text().splitlines()
    event = json.loads(line)
    assert event["event"] == "error"
    assert message in event["message"]


def test_what_the_user_can_mend_stays_the_users(
    resume: Callable[[BaseException], Result], tmp_path: Path
) -> None:
    done = resume(InputError("workers is 3"))
    assert (done.exit_code, done.stderr) == (2, "workers is 3\n")
    event = json.loads((tmp_path / "out" / "metrics.jsonl").read_text())
    assert event["user"] is True


def test_workers_train_on_gpus_where_each_has_one() -> None:
    assert on_gpus(2, 4)
    assert on_gpus(4, 4)
    assert not on_gpus(2, 0)


def test_more_workers_than_gpus_are_refused() -> None:
    with pytest.raises(InputError, match=r"workers is 3.*2 GPUs.*workers: 2.*CUDA_VISIBLE"):
        on_gpus(3, 2)


def test_workers_on_other_machines_ask_for_a_strangers_model_without_their_token(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert not run_ray.worker_environment().keys() & ANONYMOUS.keys()
    for name, value in ANONYMOUS.items():
        monkeypatch.setenv(name, value)
    made: dict[str, Any] = {}
    monkeypatch.setattr(
        run_ray.ray.train.torch, "TorchTrainer", lambda work, **options: made.update(options)
    )
    config = SimpleNamespace(workers=2, student="tiny")
    run_ray._trainer(SimpleNamespace(config=config, out=Path("out")), "owner", 0, use_gpu=False)  # type: ignore[arg-type]
    assert made["run_config"].worker_runtime_env["env_vars"].items() >= ANONYMOUS.items()
