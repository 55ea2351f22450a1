"""The select set asked beside the loop: late figures choose the same step, and none is lost."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from streamtrain.config.student import parse_config, read_document
from streamtrain.run.spec import RunOptions, RunSpec, make_run_spec
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from streamtrain.training.validation import validate_weights
from tests.local.streamtrain.training.test_model_selection import ROWS, FakeFeed, events, student

pytestmark = pytest.mark.usefixtures("one_thread")

CPU = torch.device("cpu")
SELECT = {"select": "select.jsonl", "every": 3}


class LateValidator:
    """A fake of a task beside the loop: the figures are real, and come so many looks late."""

    def __init__(self, job: RunSpec, late: int) -> None:
        self.started: list[int] = []
        self._job, self._late = job, late
        self._running: dict[int, tuple[int, dict[str, Any]]] = {}

    def start(self, step: int, weights: Path) -> None:
        self.started.append(step)
        self._running[step] = (self._late, validate_weights(self._job, weights, CPU))

    def finished(self, wait: bool) -> Mapping[int, Mapping[str, Any]]:
        self._running = {
            step: (left - 1, figures) for step, (left, figures) in self._running.items()
        }
        done = {step for step, (left, _) in self._running.items() if wait or left < 0}
        return {step: self._running.pop(step)[1] for step in sorted(done, reverse=True)}


def made(path: Path, out: str, resume: bool = False) -> RunSpec:
    document = read_document(path)
    options = RunOptions("data", path.parent / out, resume=resume)
    return make_run_spec(document, parse_config(document), path.parent, options)


def go(
    job: RunSpec, validator: LateValidator | None, stopping: Callable[[], bool] = lambda: False
) -> str:
    return train(job, SingleProcess(), lambda: FakeFeed(ROWS), stopping, CPU, validator)


def looks(out: Path) -> list[tuple[int, float, bool]]:
    return [(one["step"], one["accuracy"], one["best"]) for one in events(out, "select")]


@pytest.fixture(scope="module")
def inside(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The output folder of a run whose loop asks the select set itself."""
    job = made(student(tmp_path_factory.mktemp("inside"), tiny_model, SELECT), "out")
    go(job, None)
    return job.out


@pytest.mark.parametrize(
    "late",
    [100, *(pytest.param(late, marks=pytest.mark.slow) for late in (0, 1, 5))],
)
def test_late_figures_choose_the_step_that_the_loop_itself_would(
    tiny_model: Path, tmp_path: Path, inside: Path, late: int
) -> None:
    parallel = made(student(tmp_path, tiny_model, SELECT), "beside")
    validator = LateValidator(parallel, late)
    go(parallel, validator)
    assert validator.started == [3, 6, 9, 12]
    assert looks(parallel.out) == looks(inside)
    ours, theirs = (
        load_file(out / "final" / "adapter_model.safetensors") for out in (parallel.out, inside)
    )
    for name, tensor in theirs.items():
        torch.testing.assert_close(ours[name], tensor, rtol=0, atol=0)
    assert not list((parallel.out / "validating").glob("step-*"))


def test_a_run_that_is_stopped_asks_again_for_figures_that_never_came(
    tiny_model: Path, tmp_path: Path, inside: Path
) -> None:
    path = student(tmp_path, tiny_model, SELECT)
    first = made(path, "broken")
    stops = iter([False] * 7 + [True])
    assert go(first, LateValidator(first, 100), lambda: next(stops)) == "stopped"
    assert looks(first.out) == []
    resumed = made(path, "broken", resume=True)
    validator = LateValidator(resumed, 1)
    assert go(resumed, validator) == "end"
    assert validator.started == [3, 6, 9, 12]
    assert looks(resumed.out) == looks(inside)


def test_patience_may_run_out_late_but_runs_out(tiny_model: Path, tmp_path: Path) -> None:
    path = student(tmp_path, tiny_model, {**SELECT, "every": 2, "patience": 2, "threshold": 2.0})
    job = made(path, "out")
    assert go(job, LateValidator(job, 1)) == "plateau"
    steps = [event["step"] for event in events(job.out, "step")]
    assert 6 < max(steps) < 12
