"""Run a student's training as a subprocess: start it, watch its metrics file, restart it when it
is killed, and stop it.

Meets streamtrain at its command line and its metrics file only; imports nothing of it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import runpy
import signal
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from raygen.core import UserError, open_private
from raygen.core.limited import is_limited
from raygen.trainer.metrics import MetricsTail, TrainerState

__all__ = [
    "RESULT",
    "TrainJob",
    "Trainer",
    "TrainerState",
    "can_resume",
    "check_student",
    "finished",
]

_FIT = (sys.executable, "-P", "-m", "streamtrain.cli", "fit")
"""Without -P a file in the current folder that is named like a library would take its place."""

_CHECK_TIMEOUT_S = 60
RESULT = "result.json"
"""How a run ended, in its folder."""

_CHECKPOINTS = "checkpoints"

_MOST_DEATHS = 3
"""Deaths by a signal in a row, without a new checkpoint between them, that end the training."""


@dataclass(frozen=True, slots=True)
class TrainJob:
    """One `streamtrain fit --follow`.

    `config` is a student file, or a recipe whose key `section` holds the student; paths in it are
    relative to `base`. `out` is the folder of checkpoints and metrics. `most` workers may train
    once the dataset has ended.
    """

    config: Path
    data: str
    out: Path
    log: Path
    section: str | None = None
    base: Path | None = None
    overrides: tuple[str, ...] = ()
    most: int | None = None
    env: Mapping[str, str] = field(default_factory=dict)

    def command(self) -> list[str]:
        """Build the command line, for this Python."""
        words = [*_FIT, *_config_words(self.config, self.section, self.base)]
        words += ["--data", self.data, "--out", str(self.out), "--follow"]
        for override in self.overrides:
            words += ["--set", override]
        words += ["--grow", str(self.most)] if self.most else []
        return [*words, "--resume"] if can_resume(self.out) else words


def finished(out: Path) -> bool:
    """Tell whether a run has ended in a student's folder."""
    return (out / RESULT).exists()


def can_resume(out: Path) -> bool:
    """Tell whether a student's folder has a run that can be resumed."""
    return finished(out) or (out / _CHECKPOINTS).exists()


class Trainer:
    """A running trainer, in its own process session: Ctrl-C reaches only the driver.

    A trainer that is killed, as by a machine short of memory, restarts from its last checkpoint.
    """

    def __init__(self, job: TrainJob) -> None:
        self._job = job
        self._stop_requested = False
        self._stopped = False
        self._deaths = 0
        job.log.parent.mkdir(parents=True, exist_ok=True)
        self._start()

    def poll(self) -> TrainerState:
        """Read the state now, without waiting; restart a trainer that was killed."""
        code = self._process.poll()
        state = self._metrics.read()
        if code is None:
            return state
        if self._stopped:
            return replace(state, phase="stopped", finished=True)
        if code < 0 and not (state.error or self._stop_requested) and self._may_return(state):
            self._signal(signal.SIGKILL)  # what is left of its session holds devices
            self._start()
            return self._metrics.read()
        if code or state.error:
            return replace(
                state, phase="failed", error=state.error or self._end(code), finished=True
            )
        return replace(state, phase="finished", finished=True)

    def wait(self, timeout_s: float | None = None) -> TrainerState:
        """Wait until the training has ended, or for `timeout_s` seconds, and return the state."""
        while True:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(timeout_s)
            state = self.poll()
            if state.finished or timeout_s is not None:
                return state

    def stop(self, grace_s: float = 15.0) -> TrainerState:
        """Ask the process and its children to end, and kill them after `grace_s` seconds."""
        self._stop_requested = True
        if self._process.poll() is None:
            self._stopped = True
            self._signal(signal.SIGTERM)
            try:
                self._process.wait(grace_s)
            except subprocess.TimeoutExpired:
                self._signal(signal.SIGKILL)
                self._process.wait()
        return self.poll()

    def _start(self) -> None:
        job = self._job
        self._metrics = MetricsTail(job.out / "metrics.jsonl", keep_history=can_resume(job.out))
        with open(job.log, "ab", opener=open_private) as log:
            self._process = subprocess.Popen(
                job.command(),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **job.env},
                start_new_session=True,
            )

    def _may_return(self, state: TrainerState) -> bool:
        """Tell whether a killed trainer restarts: not where it makes no new checkpoint."""
        self._deaths = 1 if state.checkpoint else self._deaths + 1
        return self._deaths < _MOST_DEATHS

    def _signal(self, number: signal.Signals) -> None:
        try:
            os.killpg(self._process.pid, number)
        except ProcessLookupError:
            return  # it ended by itself in between

    def _end(self, code: int) -> str:
        lines = self._job.log.read_text("utf-8", "replace").split("\n")
        last = next((line.strip() for line in reversed(lines) if line.strip()), "no output")
        how = f"ended with exit code {code}" if code > 0 else f"was killed by signal {-code}"
        return f"streamtrain {how}: {last} (all of it in {self._job.log})"


def check_student(
    config: Path, section: str | None, base: Path | None
) -> list[tuple[tuple[str | int, ...], str]]:
    """List the problems of a student that is to follow a dataset, each with its path in the
    section.

    Raises UserError where streamtrain itself doesn't answer.
    """
    command = [*_FIT, *_config_words(config, section, base), "--check", "--follow", "--json"]
    try:
        done = (
            _done_here(command)
            if is_limited()
            else subprocess.run(
                command, capture_output=True, text=True, timeout=_CHECK_TIMEOUT_S, check=False
            )
        )
        problems = json.loads(done.stdout)["problems"]
        return [(tuple(problem["path"]), str(problem["message"])) for problem in problems]
    except subprocess.TimeoutExpired:
        raise UserError(f"{config}: `streamtrain fit --check` gave no answer", 1) from None
    except (ValueError, KeyError, TypeError):
        last_line = (done.stderr.strip() or done.stdout.strip() or "nothing").splitlines()[-1]
        raise UserError(
            f"{config}: `streamtrain fit --check` failed with exit code "
            f"{done.returncode}: {last_line}",
            1,
        ) from None


def _done_here(command: list[str]) -> subprocess.CompletedProcess[str]:
    """Run a command of streamtrain's in this process, where no program may be started."""
    output, errors, code = io.StringIO(), io.StringIO(), 0
    _, _, _, module, *words = command
    before, sys.argv = sys.argv, [module, *words]
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(errors):
            runpy.run_module(module, run_name="__main__")
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else 1
    finally:
        sys.argv = before
    return subprocess.CompletedProcess(command, code, output.getvalue(), errors.getvalue())


def _config_words(config: Path, section: str | None, base: Path | None) -> list[str]:
    words = [str(config)]
    words += ["--section", section] if section else []
    words += ["--base", str(base)] if base else []
    return words
