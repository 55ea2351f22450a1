"""Loggers of a run: TensorBoard, Weights & Biases, MLflow.

A resumed run continues its W&B or MLflow run. Servers and credentials come from the environment
variables of those libraries. Knows nothing of training or of events.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from raygen.core import read_json_object
from streamtrain.config import LogName, StudentConfig
from streamtrain.errors import InputError

log = logging.getLogger(__name__)

TENSORBOARD = "tensorboard"
RUNS = "loggers.json"
"""File in the output folder: the id of the W&B or MLflow run, by logger."""

_ID = re.compile(r"[\w.-]{1,100}")

_PACKAGES: Mapping[LogName, str] = {
    "tensorboard": "tensorboardX",
    "wandb": "wandb",
    "mlflow": "mlflow",
}
_INSTALL: Mapping[LogName, str] = {"mlflow": "mlflow-skinny"}


class Logger(Protocol):
    """Takes numbers by name and optimizer step."""

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        """Log the numbers of one event."""
        ...

    def close(self) -> None:
        """Flush what is left. Called once."""
        ...


def missing(names: Sequence[LogName]) -> list[str]:
    """List the named loggers that are not installed, each with what to do."""
    return [
        f"log: {name} is not installed; run `pip install {_INSTALL.get(name, _PACKAGES[name])}`, "
        "or take it out"
        for name in names
        if find_spec(_PACKAGES[name]) is None
    ]


def open_loggers(config: StudentConfig, out: Path) -> list[Logger]:
    """Open the loggers of a run that writes to `out`.

    Raises InputError if one can't be reached or refuses access.
    """
    kinds: dict[LogName, Callable[[StudentConfig, Path], Logger]] = {
        "tensorboard": _TensorBoard,
        "wandb": _Wandb,
        "mlflow": _MLflow,
    }
    opened: list[Logger] = []
    try:
        for name in config.log:
            opened += [kinds[name](config, out)]
    except InputError:
        for logger in opened:
            logger.close()
        raise
    return opened


class _TensorBoard:
    def __init__(self, _: StudentConfig, out: Path) -> None:
        from tensorboardX import SummaryWriter

        self._board = SummaryWriter(str(out / TENSORBOARD))

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        self._board.close()


class _Wandb:
    """Logs to the project WANDB_PROJECT, by default "streamtrain"."""

    def __init__(self, config: StudentConfig, out: Path) -> None:
        import wandb

        known = _runs(out).get("wandb")
        try:
            self._run = wandb.init(
                project=os.environ.get("WANDB_PROJECT", "streamtrain"),
                name=config.student,
                id=known,
                resume="allow" if known else None,
                dir=str(out),
                config=config.model_dump(mode="json"),
            )
        except wandb.errors.Error as error:
            raise InputError(
                f"log: wandb doesn't start: {error}; set WANDB_API_KEY (`wandb login`), or "
                "WANDB_MODE=offline"
            ) from error
        _keep_run(out, "wandb", self._run.id)
        # Its own steps only grow, and a resumed run goes back to its checkpoint.
        self._run.define_metric("optimizer_step")
        self._run.define_metric("*", step_metric="optimizer_step")

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        self._run.log({**numbers, "optimizer_step": step})

    def close(self) -> None:
        self._run.finish()


class _MLflow:
    """Logs to the experiment MLFLOW_EXPERIMENT_NAME, by default "streamtrain"."""

    def __init__(self, config: StudentConfig, out: Path) -> None:
        from mlflow.entities import Metric, Param
        from mlflow.exceptions import MlflowException
        from mlflow.tracking import MlflowClient

        self._metric, self._failed = Metric, MlflowException
        try:
            self._client = MlflowClient()
            known = _runs(out).get("mlflow")
            self._id = known or self._begin(config.student)
            if known is None:
                settings = _flat(config.model_dump(mode="json"))
                self._client.log_batch(self._id, params=[Param(*setting) for setting in settings])
            else:
                self._client.update_run(known, status="RUNNING")
        except (MlflowException, ImportError, OSError) as error:
            raise InputError(
                f"log: mlflow doesn't start: {error}; set MLFLOW_TRACKING_URI to your server"
            ) from error
        _keep_run(out, "mlflow", self._id)

    def _begin(self, student: str) -> str:
        name = os.environ.get("MLFLOW_EXPERIMENT_NAME", "streamtrain")
        existing = self._client.get_experiment_by_name(name)
        experiment = existing.experiment_id if existing else self._client.create_experiment(name)
        return str(self._client.create_run(experiment, run_name=student).info.run_id)

    def log(self, numbers: Mapping[str, float], step: int) -> None:
        now = int(time.time() * 1000)
        metrics = [self._metric(name, value, now, step) for name, value in numbers.items()]
        try:
            self._client.log_batch(self._id, metrics=metrics)
        except self._failed as error:
            # A run of days outlives a tracking server; metrics.jsonl has the numbers.
            log.warning("mlflow took no numbers of step %d: %s", step, error)

    def close(self) -> None:
        try:
            self._client.set_terminated(self._id)
        except self._failed as error:
            log.warning("mlflow didn't close the run: %s", error)


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, str]]:
    """Flatten settings to (dotted name, text)."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", str(value)[:6000]


def _runs(out: Path) -> dict[str, str]:
    """Read the ids of the runs by logger, so far."""
    path = out / RUNS
    expected = "the runs of the loggers; move it away, and the loggers begin new ones"
    runs = read_json_object(path, expected) if path.exists() else {}
    if not all(isinstance(name, str) and _ID.fullmatch(name) for name in runs.values()):
        raise InputError(f"{path}: an id is no id; expected {expected}")
    return runs


def _keep_run(out: Path, logger: str, name: str) -> None:
    new = (out / RUNS).with_suffix(".tmp")
    new.write_text(json.dumps({**_runs(out), logger: name}), encoding="utf-8")
    new.replace(out / RUNS)
