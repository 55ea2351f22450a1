"""The learning rate's course, and the events of a run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from streamtrain.config.student import StudentConfig
from streamtrain.run.events import EventTail, Metrics, append_event, describe
from streamtrain.run.loggers import open_loggers
from streamtrain.training.schedule import WARMUP_STEPS_UNKNOWN, Schedule


def test_wsd_holds_the_rate_until_the_end_of_the_stream_is_known() -> None:
    schedule = Schedule("wsd", warmup=2)
    assert [schedule.factor(step) for step in (0, 1, 2, 1000)] == [0.5, 1.0, 1.0, 1.0]
    schedule.set_length(50, 100)
    assert [schedule.factor(step) for step in (79, 80, 90, 99)] == [
        1.0,
        1.0,
        pytest.approx(0.5),
        pytest.approx(0.05),
    ]


def test_wsd_that_learns_of_its_end_late_decays_over_what_is_left() -> None:
    schedule = Schedule("wsd", warmup=0)
    schedule.set_length(95, 100)
    assert [schedule.factor(step) for step in (94, 95, 98)] == [1.0, 1.0, pytest.approx(0.4)]


def test_a_length_that_comes_late_does_not_change_the_warm_up() -> None:
    schedule = Schedule("wsd", warmup=0.5)
    before = [schedule.factor(step) for step in range(WARMUP_STEPS_UNKNOWN)]
    schedule.set_length(4, 1000)
    assert [schedule.factor(step) for step in range(WARMUP_STEPS_UNKNOWN)] == before
    assert schedule.factor(WARMUP_STEPS_UNKNOWN) == 1.0


@pytest.mark.parametrize(("kind", "middle"), [("linear", 0.5), ("cosine", 0.5)])
def test_linear_and_cosine_fall_from_the_peak_to_zero(kind: str, middle: float) -> None:
    schedule = Schedule(kind, warmup=0.1, total=110)  # type: ignore[arg-type]
    assert schedule.factor(10) == 1.0
    assert schedule.factor(60) == pytest.approx(middle, abs=0.01)
    assert schedule.factor(110) == pytest.approx(0.0)
    factors = [schedule.factor(step) for step in range(11, 110)]
    assert factors == sorted(factors, reverse=True)


def test_a_resumed_schedule_goes_on_alike() -> None:
    schedule = Schedule("wsd", warmup=2)
    schedule.set_length(40, 60)
    resumed = Schedule("wsd", warmup=2, total=60, known_at=40)
    resumed.set_length(50, 60)
    assert [schedule.factor(s) for s in range(60)] == [resumed.factor(s) for s in range(60)]


def test_events_are_whole_lines_that_a_reader_follows(tmp_path: Path) -> None:
    path = tmp_path / "run" / "metrics.jsonl"
    append_event(path, "end", reason="of an earlier run")
    tail = EventTail(path)
    config = StudentConfig.model_validate({"student": "s", "version": 1, "model": "m", "log": []})
    metrics = Metrics(path, open_loggers(config, tmp_path))
    metrics.event("step", step=1, loss=float("nan"), lr=0.1)
    with path.open("a") as file:
        file.write('{"event": "to')
    (event,) = tail.read()
    assert event["event"] == "step"
    assert event["loss"] is None
    assert event["time"] > 0
    with path.open("a") as file:
        file.write('rn"}\n')
    assert [one["event"] for one in tail.read()] == ["torn"]
    metrics.close()
    assert [json.loads(line)["event"] for line in path.read_text().splitlines()] == [
        "end",
        "step",
        "torn",
    ]


def test_an_event_is_shown_in_words() -> None:
    line = describe({"event": "first_step", "time": 0.0, "generation_ended": False})
    assert line is not None
    assert "while the generator still runs" in line
    line = describe(
        {"event": "eval", "when": "before", "step": 0, "accuracy": 0.25, "correct": 1, "total": 4}
        | {"unparsed": 2, "low": 0.1, "high": 0.6}
    )
    assert line is not None
    assert "25.0% (1/4)" in line
    assert "2 unparsed" in line
    assert describe({"event": "end", "reason": "end", "step": 1}) is None
