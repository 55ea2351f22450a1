"""When a run goes on with more workers: only where that saves more than a restart costs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from raygen.dataset.storage import Folder
from streamtrain.config.student import StudentConfig
from streamtrain.run.spec import GROW, RunSpec
from streamtrain.training.elastic import GrowthRequester, WorkerGrowth
from tests.support.dataset_records import block, committer

LOADED = {"event": "loaded", "time": 110.0}


def step(number: int, total: int | None = 101) -> Mapping[str, Any]:
    """A step of one second."""
    return {"event": "step", "step": number, "total_steps": total, "tokens": 50,
            "tokens_per_second": 50.0}  # fmt: skip


def growth_after(most: int, *events: Mapping[str, Any]) -> WorkerGrowth:
    growth = WorkerGrowth(most)
    growth.begin(1, now=100.0)
    for event in events:
        growth.see(event)
    return growth


def test_it_grows_where_much_is_left() -> None:
    growth = growth_after(4, LOADED, step(1))
    assert growth.open
    assert growth.workers(free=3) == 4
    assert growth.workers(free=9) == 4, "not beyond what it may"
    assert growth.workers(free=1) == 2
    assert growth.workers(free=0) is None


def test_a_restart_must_be_worth_its_time() -> None:
    # It took 10 s; with two workers half of what is left is saved.
    assert growth_after(2, LOADED, step(60)).workers(1) == 2
    assert growth_after(2, LOADED, step(61)).workers(1) is None
    assert growth_after(4, LOADED, step(70)).workers(3) == 4


@pytest.mark.parametrize("events", [(), (LOADED,), (LOADED, step(1, None)), (step(1),)])
def test_nothing_is_done_before_the_length_and_the_cost_are_known(
    events: tuple[Mapping[str, Any], ...],
) -> None:
    assert growth_after(4, *events).workers(3) is None


def test_what_went_on_is_measured_anew() -> None:
    growth = growth_after(4, LOADED, step(1))
    growth.begin(4, now=200.0)
    assert not growth.open
    growth.begin(2, now=200.0)
    growth.see({"event": "loaded", "time": 290.0})
    growth.see(step(2))
    assert growth.open
    assert growth.workers(2) is None, "a restart takes 90 s now"


def test_a_run_is_evaluated_once_its_dataset_has_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtrain.training.elastic._LOOK_EVERY_S", 0.0)
    config = StudentConfig(student="s", version=1, model="m")
    job = RunSpec(config, "m", str(tmp_path / "data"), tmp_path, None, follow=True, most=4)
    growth = growth_after(4, LOADED, step(1))
    grower = GrowthRequester(job, growth, lambda: 2)
    folder = Folder.at(tmp_path / "data")
    run = committer(folder)
    run.commit([block(folder, ["a"])])
    grower.look()
    assert not (tmp_path / GROW).exists()
    run.finish("end")
    selecting = replace(job, select=tmp_path / "select.jsonl")
    GrowthRequester(selecting, growth, lambda: 1).look()
    assert not (tmp_path / GROW).exists(), "the one free GPU is for the evaluations"
    grower.look()
    assert (tmp_path / GROW).read_text() == "3"


class EndedFeed:
    """A fake of a dataset that has ended, which counts how often it is read."""

    reads = 0

    def __init__(self, data: str, follow: bool) -> None:
        pass

    def state(self) -> SimpleNamespace:
        EndedFeed.reads += 1
        return SimpleNamespace(ended=True)


def test_a_dataset_that_has_ended_is_not_read_again_while_gpus_are_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streamtrain.training.elastic._LOOK_EVERY_S", 0.0)
    monkeypatch.setattr("streamtrain.training.elastic.DatasetFeed", EndedFeed)
    config = StudentConfig(student="s", version=1, model="m")
    job = RunSpec(config, "m", str(tmp_path / "data"), tmp_path, None, follow=True, most=4)
    free = iter([0, 0, 3])
    grower = GrowthRequester(job, growth_after(4, LOADED, step(1)), lambda: next(free))
    for _ in range(3):
        grower.look()
    assert (tmp_path / GROW).read_text() == "4"
    assert EndedFeed.reads == 1
