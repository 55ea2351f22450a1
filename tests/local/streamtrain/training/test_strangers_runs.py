"""A run of somebody else's, read by `fit --resume`, `eval`, `lens` and `compare`: its files lead
nowhere else, run nothing, and each damage is one message."""

from __future__ import annotations

import json
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch

from raygen.core import UserError
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.evaluation.records import check_record, read_records
from streamtrain.evaluation.votes import engine_for
from streamtrain.rationales.sheet import _rationales, read_key
from streamtrain.training import checkpoint
from streamtrain.training.outcome import find_student
from tests.local.raygen.engines.models.test_safe_models import Payload, poison
from tests.local.streamtrain.training.test_checkpoint import DATA, Run

DEEP = '{"a":' * 100_000
NO_OBJECTS = [DEEP, "[]", "null", "", "{", "9" * 5000, "\0"]


def changed(path: Path, **values: Any) -> Path:
    """A checkpoint whose progress says something else."""
    file = path / "progress.json"
    file.write_text(json.dumps({**json.loads(file.read_text()), **values}))
    return path


@pytest.mark.parametrize("name", ["../mine/step-00000001", "{tmp}/mine/step-00000001", "\0", "é"])
def test_the_latest_checkpoint_lies_in_its_run(tmp_path: Path, name: str) -> None:
    Run(tmp_path / "mine").save(1)
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "latest").write_text(name.format(tmp=tmp_path), encoding="latin-1")
    assert checkpoint.latest(tmp_path / "run") is None


@pytest.mark.parametrize(
    "values",
    [
        {"step": "1"},
        {"cursor": {"chunk": "x"}},
        {"cursor": [1]},
        {"selection": {"best": "high"}},
        {"selection": 3},
        {"settings": []},
        {"validating": {"a": 1}},
        {"left_out": [1]},
        {"more": 1},
    ],
)
def test_a_progress_of_other_types_is_one_error(tmp_path: Path, values: Any) -> None:
    path = changed(Run(tmp_path).save(1), **values)
    with pytest.raises(InputError, match="can't be read as the progress of a run"):
        checkpoint.load_progress(path)


@pytest.mark.parametrize("sizes", [[1], {"x": "1"}, "x"])
def test_sizes_that_are_none_make_no_checkpoint(tmp_path: Path, sizes: Any) -> None:
    changed(Run(tmp_path).save(1), sizes=sizes)
    assert checkpoint.latest(tmp_path) is None


@pytest.mark.parametrize("content", ["pickle", "torch", b"PK", b""])
def test_an_optimizers_pickle_runs_nothing(tmp_path: Path, content: str | bytes) -> None:
    shutil.copytree(DATA / "run-0.1.0" / "student" / "checkpoints", tmp_path / "c")
    found, target = checkpoint.latest(tmp_path / "c"), tmp_path / "was-here"
    assert found is not None
    if content == "torch":
        poison(found / "optimizer.pt", target)
    else:
        payload = pickle.dumps(Payload(target))
        (found / "optimizer.pt").write_bytes(payload if isinstance(content, str) else content)
    student = Run(tmp_path / "r")
    weights = {name: p.detach() for name, p in student.student.trainable()}
    from safetensors.torch import save_file

    save_file(weights, found / "trained.safetensors")
    with pytest.raises(StreamtrainError, match="can't read the checkpoint"):
        checkpoint.load_weights(found, student.student, student.optimizer)
    assert not target.exists()


@pytest.mark.parametrize("settings", [*NO_OBJECTS, '{"model": "o/m", "evil": 1}'])
def test_settings_of_a_student_that_are_none_are_one_error(tmp_path: Path, settings: str) -> None:
    (tmp_path / "student.json").write_text(settings)
    with pytest.raises(InputError, match="can't be read as a student's settings"):
        find_student(tmp_path)


@pytest.mark.parametrize("content", [*NO_OBJECTS, '{"set": "dev"}', '{"accuracy": "high"}'])
@pytest.mark.parametrize("name", ["evaluation.json", "predictions.jsonl"])
def test_an_evaluation_that_is_none_is_one_error(tmp_path: Path, name: str, content: str) -> None:
    folder = tmp_path / "dev"
    folder.mkdir()
    figures = {"accuracy": 0.5, "low": 0.1, "high": 0.9, "chance": 0.2}
    (folder / "evaluation.json").write_text(json.dumps(figures))
    (folder / "predictions.jsonl").write_text('{"key": "k", "correct": true}\n')
    assert len(read_records(tmp_path)) == 1
    (folder / name).write_text(content)
    if name == "predictions.jsonl" and not content:
        assert read_records(tmp_path)[0].answers == ()
        return
    with pytest.raises(InputError, match=r"can't be read.*evaluate it again"):
        read_records(tmp_path)


@pytest.mark.parametrize("name", [".predictions.jsonl.tmp", "evaluation.json", "rationales.jsonl"])
def test_an_evaluation_is_written_through_no_link(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "evaluations" / "dev"
    folder.mkdir(parents=True)
    (folder / "evaluation.json").write_text('{"set": "dev", "accuracy": 1}')
    (tmp_path / "mine").write_text('{"set": "dev", "accuracy": 1}')
    (folder / name).unlink(missing_ok=True)
    (folder / name).symlink_to(tmp_path / "mine")
    with pytest.raises(InputError):
        check_record(tmp_path / "evaluations", "dev")


@pytest.mark.parametrize("content", NO_OBJECTS)
def test_other_files_of_a_run_are_one_error_each(tmp_path: Path, content: str) -> None:
    for name in ("adapter_config.json", "key.json", "rationales.jsonl"):
        (tmp_path / name).write_text(content)
    with pytest.raises(UserError, match=r"adapter_config\.json"):
        engine_for(tmp_path, "causal")
    with pytest.raises(InputError, match="can't be read as a key"):
        read_key(tmp_path / "key.json")
    if content:
        with pytest.raises(InputError, match="can't be read"):
            _rationales(tmp_path / "rationales.jsonl", tmp_path, Path("dev.jsonl"))


def test_shards_of_hostile_names_are_one_error(tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    path = Run(tmp_path).save(1)
    file = next(path.glob("*.safetensors"))
    tensors = load_file(file)
    save_file({**tensors, "optimizer.nobody.exp_avg": torch.zeros(1)}, file)
    run = Run(tmp_path / "other")
    with pytest.raises(StreamtrainError, match="can't read the checkpoint"):
        checkpoint.load_weights(path, run.student, run.optimizer)
