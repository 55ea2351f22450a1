"""Checkpoints: whole whatever instant a kill hits, on disk before they are named, read back."""

from __future__ import annotations

import json
import multiprocessing
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from streamtrain.config.student import parse_config, read_document
from streamtrain.data.dataset import DatasetFeed
from streamtrain.errors import InputError, StreamtrainError
from streamtrain.models.student import Student
from streamtrain.run.spec import RunOptions, make_run_spec
from streamtrain.training import checkpoint
from streamtrain.training.communicator import SingleProcess
from streamtrain.training.loop import train
from streamtrain.training.progress import TrainProgress
from tests.local.streamtrain.training.test_model_selection import events

pytestmark = pytest.mark.usefixtures("one_thread")

DATA = Path(__file__).parents[3] / "data"
CPU = torch.device("cpu")
OPERATIONS = ("fsync", "rename", "replace", "mkdir", "unlink", "rmdir")
"""What changes a folder, or brings it to disk, as functions of os."""


class Run:
    """A run of a model with two parameters, whose weights are the number of its last step."""

    def __init__(self, folder: Path, width: int = 3) -> None:
        self.folder = folder
        model = torch.nn.Linear(width, 2)
        self.student = Student(model, None, adapter=False, device=CPU)
        self.optimizer = torch.optim.AdamW(model.parameters(), lr=0.1)

    def save(self, step: int) -> Path:
        """Save a checkpoint at this step."""
        for _, parameter in self.student.trainable():
            parameter.grad = torch.full_like(parameter, float(step))
        self.optimizer.step()
        with torch.no_grad():
            for _, parameter in self.student.trainable():
                parameter.fill_(float(step))
        return checkpoint.save(
            self.folder, self.student, self.optimizer, TrainProgress({}, step=step, rows=10 * step)
        )

    def load(self) -> TrainProgress:
        """Load the latest checkpoint, and check that its parts belong together."""
        found = checkpoint.latest(self.folder)
        assert found is not None
        at = checkpoint.load_progress(found)
        checkpoint.load_weights(found, self.student, self.optimizer)
        for _, parameter in self.student.trainable():
            assert set(parameter.flatten().tolist()) == {float(at.step)}
            assert self.optimizer.state[parameter]["exp_avg"].shape == parameter.shape
        return at


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def killed_at(instant: int, act: Callable[[], Any]) -> bool:
    """Do something in a process that kills itself before its operation number `instant` on files;
    whether it came that far."""

    def child() -> None:
        done = 0

        def counted(operation: Callable[..., Any]) -> Callable[..., Any]:
            def call(*arguments: Any, **more: Any) -> Any:
                nonlocal done
                done += 1
                if done == instant:
                    os.kill(os.getpid(), signal.SIGKILL)
                return operation(*arguments, **more)

            return call

        for name in OPERATIONS:
            setattr(os, name, counted(getattr(os, name)))
        act()
        os._exit(0)

    process = multiprocessing.get_context("fork").Process(target=child)
    process.start()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode != 0


@pytest.mark.parametrize(
    "same_step",
    [
        pytest.param(False, id="the next step", marks=pytest.mark.slow),
        pytest.param(True, id="the same step again"),
    ],
)
def test_a_kill_at_any_instant_of_a_save_leaves_a_run_to_go_on_with(
    tmp_path: Path, same_step: bool
) -> None:
    template = Run(tmp_path / "template")
    template.save(1)
    template.save(2)
    step = 2 if same_step else 3
    instant, reached = 0, set()
    while True:
        instant += 1
        run = Run(tmp_path / str(instant))
        shutil.copytree(template.folder, run.folder)
        run.load()
        killed = killed_at(instant, lambda run=run: run.save(step))  # type: ignore[misc]
        after = Run(run.folder)
        at = after.load()
        assert (at.step, at.rows) in {(2, 20), (step, 10 * step)}
        reached.add(at.step)
        saved = after.save(4)
        assert after.load().step == 4
        assert len(names(run.folder)) == checkpoint.KEPT + 1, "no leftovers, and `latest`"
        assert saved.name in names(run.folder)
        if not killed:
            break
    assert instant > 12
    assert reached == {2, step}


def test_a_step_that_is_saved_again_and_again_takes_no_checkpoint_away_before_its_time(
    tmp_path: Path,
) -> None:
    run = Run(tmp_path)
    run.save(1)
    paths = [run.save(2) for _ in range(12)]
    assert len(set(paths)) == len(paths)
    assert names(tmp_path) == {"latest", *(path.name for path in paths[-checkpoint.KEPT :])}
    assert checkpoint.latest(tmp_path) == paths[-1]


def test_what_is_named_was_on_disk_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its files, its own folder, and the folder that holds its name: before `latest` names it."""
    synced: set[int] = set()
    at_naming: dict[str, set[int]] = {}
    fsync, replace = os.fsync, os.replace

    def see_sync(number: int) -> None:
        synced.add(os.fstat(number).st_ino)
        fsync(number)

    def see_name(source: Any, target: Any, **more: Any) -> None:
        at_naming[Path(target).name] = set(synced)
        replace(source, target, **more)

    monkeypatch.setattr(os, "fsync", see_sync)
    monkeypatch.setattr(os, "replace", see_name)
    monkeypatch.setattr(os, "rename", see_name)
    path = Run(tmp_path / "checkpoints").save(1)
    for part in (path, *path.iterdir()):
        assert part.stat().st_ino in at_naming[path.name], part.name
    assert path.parent.stat().st_ino in at_naming["latest"]
    assert (path.parent / "latest").stat().st_ino in synced


def drop_file(path: Path) -> None:
    next(path.glob("*.safetensors")).unlink()


def cut_file(path: Path) -> None:
    file = next(path.glob("*.safetensors"))
    file.write_bytes(file.read_bytes()[:-1])


def cut_progress(path: Path) -> None:
    file = path / "progress.json"
    file.write_text(file.read_text()[:-2])


@pytest.mark.parametrize("harm", [shutil.rmtree, drop_file, cut_file, cut_progress])
def test_the_newest_whole_checkpoint_stands_in_for_one_that_is_not_whole(
    tmp_path: Path, harm: Callable[[Path], None]
) -> None:
    run = Run(tmp_path)
    run.save(1)
    run.save(2)
    harm(run.save(3))
    assert run.load().step == 2


def test_a_checkpoint_is_found_where_a_kill_came_before_it_was_named(tmp_path: Path) -> None:
    run = Run(tmp_path)
    run.save(1)
    (tmp_path / "latest").unlink()
    assert run.load().step == 1


def test_folders_that_streamtrain_did_not_name_are_left_alone(tmp_path: Path) -> None:
    run = Run(tmp_path)
    (tmp_path / "step-best, by hand").mkdir()
    for step in (1, 2, 3):
        run.save(step)
    assert "step-best, by hand" in names(tmp_path)
    assert run.load().step == 3


def test_a_student_of_another_size_is_refused(tmp_path: Path) -> None:
    path = Run(tmp_path).save(1)
    with pytest.raises(InputError, match="belongs to another student"):
        checkpoint.load_weights(path, Run(tmp_path, width=4).student)


def test_a_file_that_is_no_checkpoint_is_one_message(tmp_path: Path) -> None:
    path = Run(tmp_path).save(1)
    file = next(path.glob("*.safetensors"))
    file.write_bytes(b"\0" * file.stat().st_size)
    with pytest.raises(StreamtrainError, match="can't read the checkpoint"):
        checkpoint.load_weights(path, Run(tmp_path).student)


def test_a_format_of_the_future_is_refused(tmp_path: Path) -> None:
    path = Run(tmp_path).save(1)
    progress = json.loads((path / "progress.json").read_text())
    (path / "progress.json").write_text(json.dumps({**progress, "version": 3}))
    found = checkpoint.latest(tmp_path)
    assert found is not None
    with pytest.raises(InputError, match=r"has the format 3.*reads 1 and 2"):
        checkpoint.load_progress(found)


def test_a_run_of_version_0_1_0_goes_on(tmp_path: Path) -> None:
    """Killed after step 25 of 32; its checkpoints are of format 1."""
    for name in ("run-0.1.0", "dataset-0.1.0"):
        shutil.copytree(DATA / name, tmp_path / name)
    folder = tmp_path / "run-0.1.0"
    document = read_document(folder / "student.yaml")
    options = RunOptions(str(tmp_path / "dataset-0.1.0" / "out"), resume=True)
    job = make_run_spec(document, parse_config(document), folder, options)
    before = checkpoint.latest(job.out / "checkpoints")
    assert before is not None
    assert json.loads((before / "progress.json").read_text())["version"] == 1
    assert checkpoint.load_progress(before).step == 25
    feed = DatasetFeed(job.data, follow=False)
    assert train(job, SingleProcess(), lambda: feed, lambda: False, CPU) == "end"
    steps = events(job.out, "step")
    assert [step["step"] for step in steps] == list(range(1, 33))
    losses = [step["loss"] for step in steps]
    assert losses[25] < losses[0], "it goes on with what it had learned"
    after = checkpoint.latest(job.out / "checkpoints")
    assert after is not None
    assert json.loads((after / "progress.json").read_text())["version"] == 2


def test_a_half_removed_checkpoint_of_version_0_1_0_is_not_taken(tmp_path: Path) -> None:
    """It removed checkpoints under their own names, one file after the other."""
    folder = tmp_path / "checkpoints"
    shutil.copytree(DATA / "run-0.1.0" / "student" / "checkpoints", folder)
    (folder / "step-00000025" / "optimizer.pt").unlink()
    found = checkpoint.latest(folder)
    assert found is not None
    assert found.name == "step-00000024"
