"""The metrics file: read while it grows, replaced or resumed, and folded into a state."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.trainer.metrics import Accuracy, MetricsTail, TrainerState, fold_event
from tests.support.trainer_events import EVENTS, lines


def test_lines_of_an_earlier_run_are_skipped_but_a_resumed_run_keeps_before(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(EVENTS))
    assert MetricsTail(path).read() == TrainerState()
    resumed = MetricsTail(path, keep_history=True)
    assert resumed.read() == TrainerState(
        before=Accuracy(12, 48), first_step=9.5, trained_while_generating=True
    )
    with path.open("a") as file:
        file.write(lines([{"event": "first_step", "time": 70.0, "generation_ended": True}]))
    assert resumed.read().first_step == 9.5


def test_a_replaced_file_is_read_from_its_beginning(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    path.write_text(lines(EVENTS[:1]))
    tail = MetricsTail(path)
    fresh = tmp_path / "new"
    fresh.write_text(lines(EVENTS))
    fresh.replace(path)
    assert tail.read().after == Accuracy(24, 48, 2)


@given(st.lists(st.integers(1, 40), max_size=30))
def test_any_way_of_writing_the_lines_gives_the_same_state(sizes: list[int]) -> None:
    text = lines(EVENTS).encode()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "metrics.jsonl"
        tail = MetricsTail(path)
        with path.open("wb", buffering=0) as file:
            for size in sizes:
                file.write(text[:size])
                text = text[size:]
                tail.read()
            file.write(text)
        state = TrainerState()
        for event in EVENTS:
            state = fold_event(state, json.dumps(event).encode())
        assert tail.read() == state
        assert state.error is None


@pytest.mark.parametrize("line", [b"{", b"3", b"[]", b'{"event": "step"}', b'{"event": []}'])
def test_an_unreadable_line_is_an_error_not_a_crash(line: bytes) -> None:
    error = fold_event(TrainerState(step=3), line).error
    assert error is not None
    assert "can't be read" in error


def test_an_unknown_event_changes_nothing() -> None:
    assert fold_event(TrainerState(step=3), b'{"event": "lens"}') == TrainerState(step=3)


def test_the_interval_of_an_accuracy() -> None:
    low, high = Accuracy(12, 48).interval()
    assert (round(low, 3), round(high, 3)) == (0.149, 0.388)
    assert Accuracy(0, 0).interval() == (0.0, 1.0)
    assert Accuracy(5, 5).interval()[1] == 1.0
