"""A run that was killed repeats what it had decided, though its dataset has grown since."""

from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch

from streamtrain.config.student import parse_config, read_document
from streamtrain.data.cursor import Decision, Decisions
from streamtrain.errors import StreamLostError
from streamtrain.run.spec import RunOptions, RunSpec, make_run_spec, read_result
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from tests.local.streamtrain.training.test_model_selection import (
    Commit,
    State,
    events,
    rows,
    student,
)

CPU = torch.device("cpu")
ROWS = rows(24)


def test_decisions_are_read_back_and_a_torn_line_is_none(tmp_path: Path) -> None:
    path = tmp_path / "decisions.jsonl"
    first = Decisions(path, resume=False)
    first.record(Decision(1, 4, False))
    first.record(Decision(2, 8, True))
    first.record(Decision(2, 9, False))
    first.close()
    with path.open("a") as file:
        file.write('{"step": 3, "kno')
    reopened = Decisions(path, resume=True)
    assert reopened.of(1) == Decision(1, 4, False)
    assert reopened.of(2) == Decision(2, 8, True)
    assert reopened.of(3) is None
    reopened.record(Decision(3, 12, True))
    reopened.close()
    assert [json.loads(line)["step"] for line in path.read_text().splitlines()] == [1, 2, 3]
    fresh = Decisions(path, resume=False)
    assert fresh.of(1) is None
    fresh.close()


class GrowingFeed:
    """A fake dataset that shows so many more rows at each of some looks, then its end."""

    def __init__(self, grows: Sequence[int]) -> None:
        self._grows, self._shown, self._looks = list(grows), 0, 0
        self._parts: dict[int, list[dict[str, Any]]] = {}

    def poll(self) -> Sequence[Any]:
        self._looks += 1
        if self._looks > len(self._grows):
            return []
        count = self._grows[self._looks - 1]
        part = ROWS[self._shown : self._shown + count]
        self._shown += count
        if not part:
            return []
        commit = Commit()
        self._parts[id(commit)] = part
        self._held = commit
        return [commit]

    def read(self, commit: Any) -> Any:
        return pa.Table.from_pylist(self._parts[id(commit)])

    def state(self) -> State:
        return State(ended=self._looks >= len(self._grows))


class KilledError(Exception):
    """The end of a process, as a test causes it."""


def made(folder: Path, model: Path, starved: str, resume: bool = False) -> RunSpec:
    path = student(folder, model, {}, max_steps=None, epochs=2, warmup=0.2)
    settings = json.loads(path.read_text())
    settings["stream"] = {"starved": starved, "shuffle": 8}
    settings["optim"] = {key: v for key, v in settings["optim"].items() if v is not None}
    path.write_text(json.dumps(settings))
    document = read_document(path)
    options = RunOptions("data", folder / "out", follow=True, resume=resume)
    return make_run_spec(document, parse_config(document), folder, options)


def steps_of(job: RunSpec) -> list[dict[str, Any]]:
    """The event of each step that counts: the later one of those that were taken twice."""
    return list({one["step"]: one for one in events(job.out, "step")}.values())


def taken(out: Path) -> list[tuple[int, str, float]]:
    return [(one["step"], one["batch"], one["lr"]) for one in events(out, "step")]


@pytest.mark.parametrize(
    ("starved", "killed_at"),
    [
        ("wait", 7),
        ("replay", 3),
        pytest.param("wait", 3, marks=pytest.mark.slow),
        pytest.param("replay", 7, marks=pytest.mark.slow),
    ],
)
def test_a_killed_run_takes_the_same_steps_again_though_all_rows_are_there(
    tiny_model: Path, tmp_path: Path, starved: str, killed_at: int
) -> None:
    """The first process sees the rows come in slowly; the second finds all of them."""
    job = made(tmp_path, tiny_model, starved)

    def stopping() -> bool:
        if len(events(job.out, "step")) == killed_at:
            raise KilledError
        return False

    slow = GrowingFeed([4, 0, 0, 4, 0, 0, 4, 0, 4, 8])
    with pytest.raises(KilledError):
        train(job, SingleProcess(), lambda: slow, stopping, CPU)
    before = taken(job.out)
    assert len(before) == killed_at
    resumed = made(tmp_path, tiny_model, starved, resume=True)
    assert train(resumed, SingleProcess(), lambda: GrowingFeed([24]), lambda: False, CPU) == "end"
    after = taken(resumed.out)[killed_at:]
    assert after[:killed_at] == before
    assert [step for step, _, _ in after] == list(range(1, len(ROWS) * 2 // 4 + 1))
    *_, last = events(resumed.out, "step")
    assert (last["epoch"], last["lag"], last["utilisation"]) == (2.0, 0, None)
    if starved == "wait":
        assert 0 < max(one["wait_share"] for one in events(job.out, "step")) < 1
    assert last["flops_per_second"] > 0
    result = read_result(resumed.out)
    assert (result["epochs"], result["utilisation"]) == (2.0, None)
    assert result["flops_per_second"] > 0
    assert result["tokens_per_second"] == pytest.approx(
        result["tokens"]
        / sum(one["tokens"] / one["tokens_per_second"] for one in steps_of(resumed))
    )


def test_a_dataset_that_has_become_smaller_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    job = made(tmp_path, tiny_model, "wait")
    train(
        job,
        SingleProcess(),
        lambda: GrowingFeed([24]),
        lambda: len(events(job.out, "step")) == 2,
        CPU,
    )
    shutil.rmtree(tmp_path / "out" / "checkpoints")
    resumed = made(tmp_path, tiny_model, "wait", resume=True)
    with pytest.raises(StreamLostError, match="step 1 needs 24 examples"):
        train(resumed, SingleProcess(), lambda: GrowingFeed([8]), lambda: False, CPU)
