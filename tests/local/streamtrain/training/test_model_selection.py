"""A run selects its best step on one set, reports another, and trains on neither."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
import torch
from safetensors.torch import load_file

from raygen.config.document import ProblemsError
from streamtrain.config.student import StudentConfig, parse_config, read_document
from streamtrain.errors import InputError
from streamtrain.evaluation.records import read_records
from streamtrain.heldout.overlap import HeldOut, shared_questions
from streamtrain.heldout.questions import Question
from streamtrain.run.spec import RunOptions, make_run_spec
from streamtrain.training import checkpoint
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from streamtrain.training.progress import Selection

pytestmark = pytest.mark.usefixtures("one_thread")


def test_patience_counts_looks_without_a_gain_above_the_threshold() -> None:
    """The best step is the highest score, even where its gain is too small to be patient for."""
    selection = Selection()
    scores = [0.50, 0.51, 0.51, 0.58, 0.57]
    best = [selection.see(score, step, 0.05) for step, score in enumerate(scores, 1)]
    assert best == [True, True, False, True, False]
    assert (selection.best, selection.step, selection.waited) == (0.58, 4, 1)
    selection.see(0.60, 6, 0.05)
    assert (selection.best, selection.step, selection.waited) == (0.60, 6, 2)


def test_a_row_that_is_held_out_is_refused_and_so_is_its_pair() -> None:
    held = HeldOut(
        {
            "report": [Question("Where is it?", ("here", "there"), 0)],
            "select": [Question("Nice film.", ("bad", "good"), 1, "g7", classes=True)],
        }
    )
    held.check({"question": "Where is it?", "choices": ["here", "elsewhere"]})
    held.check({"text": "Awful film.", "label": "bad", "group": "g8"})
    same_question = {"id": "x", "question": "where  is it?", "choices": ["there", "here"]}
    edited = {"id": "x", "question": "Who is it?", "original": "Where is it?"}
    for row, name in (
        (same_question, "report: its question"),
        ({**edited, "choices": ["there", "here"]}, "report: its original"),
        ({"text": "Nice film."}, "select: its text"),
        ({"text": "Awful film.", "group": "g7"}, "select: its group"),
    ):
        with pytest.raises(InputError, match=f"evaluate.{name}"):
            held.check(row)


def test_sets_share_a_question_or_a_pair() -> None:
    one, two = (
        Question("a", ("x", "y"), 0, "g"),
        Question("b", ("x", "y"), 0, "g", "counterfactual"),
    )
    assert shared_questions([one], [two]) == [two]
    assert shared_questions([one], [Question("A ", ("y", "x"), 1)]) != []
    assert shared_questions([one], [Question("b", ("x", "y"), 0)]) == []


@dataclass(frozen=True)
class State:
    ended: bool = True
    plan_hash: str | None = "p"
    beat: str | None = None


@dataclass(frozen=True)
class Commit:
    removed: bool = False


class FakeFeed:
    """A finished dataset of one commit."""

    def __init__(self, rows: Sequence[dict[str, Any]]) -> None:
        self._rows, self._left = rows, [Commit()]

    def poll(self) -> Sequence[Commit]:
        found, self._left = self._left, []
        return found

    def read(self, commit: Commit) -> Any:
        return pa.Table.from_pylist(list(self._rows))

    def state(self) -> State:
        return State()


def rows(count: int) -> list[dict[str, Any]]:
    """So many examples of a dataset, each a question of its own."""
    return [
        {
            "id": str(n),
            "question": f"Which number is {n}?",
            "choices": ["none", str(n)],
            "answer": 1,
            "view": "positive",
            "rationale": "So.",
        }
        for n in range(count)
    ]


ROWS = rows(8)


def student(folder: Path, model: Path, evaluate: dict[str, Any], **optim: Any) -> Path:
    for name, answer in (("report", 1), ("select", 0)):
        questions = [
            {"question": f"Is it {name} {n}?", "choices": ["no", "yes"], "answer": answer}
            for n in range(3)
        ]
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in questions))
    config = StudentConfig.model_validate(
        {
            "student": "tiny",
            "version": 1,
            "model": str(model),
            "tune": {"method": "lora", "r": 4},
            "optim": {"lr": 1e-2, "batch": 4, "max_steps": 12, "warmup": 0, **optim},
            "evaluate": {"report": "report.jsonl", **evaluate},
            "checkpoint_s": 1000,
        }
    )
    path = folder / "student.yaml"
    path.write_text(config.model_dump_json(exclude_unset=True))
    return path


def go(
    path: Path, dataset_rows: Sequence[dict[str, Any]] = ROWS, resume: bool = False
) -> tuple[str, Path]:
    document = read_document(path)
    options = RunOptions("data", path.parent / "out", resume=resume)
    job = make_run_spec(document, parse_config(document), path.parent, options)
    reason = train(
        job, SingleProcess(), lambda: FakeFeed(dataset_rows), lambda: False, torch.device("cpu")
    )
    return reason, job.out


def events(out: Path, name: str) -> list[dict[str, Any]]:
    lines = (out / "metrics.jsonl").read_text().splitlines()
    return [event for event in map(json.loads, lines) if event["event"] == name]


PATIENT = {"select": "select.jsonl", "every": 2, "patience": 2, "threshold": 2.0}


def test_a_plateau_ends_the_run_with_the_best_step(tiny_model: Path, tmp_path: Path) -> None:
    """The select set asks for what is unlearned, so an early step is the best one."""
    reason, out = go(student(tmp_path, tiny_model, PATIENT))
    assert reason == "plateau"
    looks = events(out, "select")
    assert [look["step"] for look in looks] == [2, 4, 6]
    scores = [look["accuracy"] for look in looks]
    (selected,) = events(out, "selected")
    assert selected["step"] == looks[scores.index(max(scores))]["step"] < 6
    final = load_file(out / "final" / "adapter_model.safetensors")
    best = load_file(out / "best" / "trained.safetensors")
    last = checkpoint.latest(out / "checkpoints")
    assert last is not None
    (shard,) = last.glob("*.safetensors")
    stored = load_file(shard)
    weights = {key: tensor for key, tensor in stored.items() if key.startswith("weights.")}
    assert checkpoint.load_progress(last).selection.waited == 2

    def summed(tensors: dict[str, torch.Tensor]) -> float:
        return sum(float(tensor.abs().sum()) for tensor in tensors.values())

    assert summed(final) == pytest.approx(summed(best))
    assert summed(weights) != pytest.approx(summed(best), rel=1e-4)


def test_the_report_is_kept_and_the_select_set_is_not_reported(
    tiny_model: Path, tmp_path: Path
) -> None:
    reason, out = go(student(tmp_path, tiny_model, {"select": "select.jsonl", "every": 3}))
    assert reason == "end"
    assert [event["step"] for event in events(out, "select")] == [3, 6, 9, 12]
    (record,) = read_records(out / "evaluations")
    assert record.name == "report"
    result = json.loads((out / "result.json").read_text())
    assert record.figures["accuracy"] == result["after"]["accuracy"]
    assert result["selected"]["set"] == str(tmp_path / "select.jsonl")


def test_the_last_step_is_looked_at_too(tiny_model: Path, tmp_path: Path) -> None:
    _, out = go(student(tmp_path, tiny_model, {"select": "select.jsonl", "every": 5}, max_steps=6))
    assert [event["step"] for event in events(out, "select")] == [5, 6]


def test_a_run_that_is_over_by_its_plateau_stays_over(tiny_model: Path, tmp_path: Path) -> None:
    path = student(tmp_path, tiny_model, PATIENT)
    go(path)
    reason, out = go(path, resume=True)
    assert reason == "plateau"
    assert max(event["step"] for event in events(out, "step")) == 6


def test_training_on_the_report_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    leak = {**ROWS[0], "id": "leak", "question": "is it REPORT 1?", "choices": ["yes", "no"]}
    with pytest.raises(InputError, match=r"example leak .* evaluate\.report"):
        go(student(tmp_path, tiny_model, {}), [*ROWS, leak])


def test_selecting_by_the_report_is_an_error(tiny_model: Path, tmp_path: Path) -> None:
    path = student(tmp_path, tiny_model, {"select": "report.jsonl", "every": 2})
    with pytest.raises(ProblemsError, match="select: 3 of its questions"):
        go(path)
