"""Find and start the training of the student that a recipe names under `train:`.

Knows where its configuration and its folder are, and whether to resume an earlier run; knows
nothing of how streamtrain trains.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from raygen.config import dump_text, load_document
from raygen.core import Problem, read_json_object
from raygen.dataset import Folder, is_training_run
from raygen.engines.models import ANONYMOUS
from raygen.recipe import Recipe
from raygen.trainer import process as trainer
from raygen.trainer.metrics import Accuracy, TrainerState
from raygen.trainer.process import Trainer, TrainJob

_CURVES = "tensorboard"
_STUDENT = "student"


@dataclass(frozen=True, slots=True)
class Training:
    """The student of one dataset: a student file, or a section of the recipe."""

    recipe: Recipe
    file: Path | None
    out: Path

    @property
    def anonymous(self) -> bool:
        """Whether its model is asked for without the user's token, since a stranger names it."""
        model = str(_configured(self.recipe, self.file).get("model"))
        place = ("train", "model") if self.file is None else ("train",)
        is_own = self.file is not None and str(self.file) != self.recipe.paths.get(("train",))
        return not is_own and self.recipe.resolver.access(place, f"hf://{model}") is not None

    @property
    def finished(self) -> bool:
        """Whether a run has ended here."""
        return trainer.finished(self.out)

    def start(self, data: str, logs: Path, address: str | None, most: int = 0) -> Trainer:
        """Start `streamtrain fit --follow` on a dataset.

        Args:
            data: the dataset's folder or URI.
            logs: the folder for the trainer's log.
            address: the Ray cluster; None starts a local one.
            most: train workers that it may grow to once the dataset has ended.
        """
        profile = self.recipe.profile
        workers = profile.workers if profile else None
        return Trainer(
            TrainJob(
                config=self.file or _written(self.recipe, logs),
                data=data,
                out=self.out,
                log=logs / "trainer.log",
                base=None if self.file else self.recipe.base,
                overrides=(f"workers={workers}",) if workers else (),
                most=most if most > self.workers() else None,
                env=({"RAY_ADDRESS": address} if address else {})
                | (ANONYMOUS if self.anonymous else {}),
            )
        )

    @property
    def curves(self) -> Path | None:
        """The folder that TensorBoard reads, if the run wrote one."""
        folder = self.out / _CURVES
        return folder if folder.is_dir() else None

    def outcome(self) -> TrainerState:
        """Read the outcome of the run that ended here."""
        expected = "what `streamtrain fit` wrote at its end; train it again into another folder"
        result = read_json_object(self.out / trainer.RESULT, expected, _Result)
        return TrainerState(
            phase="finished",
            step=result["steps"],
            before=_accuracy(result["before"]),
            after=_accuracy(result["after"]),
            checkpoint=result["checkpoint"],
            finished=True,
        )

    def workers(self) -> int:
        """Count the train workers that will run, for a local cluster's size."""
        profile = self.recipe.profile
        configured = _configured(self.recipe, self.file).get("workers")
        from_profile = profile.workers if profile else None
        return from_profile or (configured if isinstance(configured, int) else 1)


def training_problems(recipe: Recipe, train: Path | None = None) -> list[Problem]:
    """List what streamtrain finds wrong with the student of a recipe, or of `--train`."""
    file = _file(recipe, train)
    if file is not None:
        document = load_document(file)
        return [
            document.problem(at, message) for at, message in trainer.check_student(file, None, None)
        ]
    if recipe.train is None:
        return []
    with tempfile.TemporaryDirectory() as folder:
        problems = trainer.check_student(_written(recipe, Path(folder)), None, recipe.base)
    return [recipe.document.problem(("train", *at), message) for at, message in problems]


def training_of(recipe: Recipe, train: Path | None, folder: Folder, moved: bool) -> Training | None:
    """Find the training that a recipe, or `--train`, asks for; None where neither does.

    Args:
        recipe: the recipe.
        train: the student's file of `--train`.
        folder: the dataset's.
        moved: whether `--out` set that folder.

    The student lies where its configuration says, else beside the tables, in a folder for each
    variant; with a `moved` dataset always beside the tables.
    """
    if train is None and recipe.train is None:
        return None
    file = _file(recipe, train)
    output = _configured(recipe, file).get("output")
    if isinstance(output, str) and not moved:
        out = _named(recipe, train, file, output)
    elif folder.local is not None:
        out = folder.local / _of_variant(_STUDENT, recipe)
    else:
        out = Path("runs") / _of_variant(recipe.name, recipe)
    return Training(recipe, file, out)


def student_settings(training: Training) -> Mapping[str, Any]:
    """Read a student's settings as they are written, unchecked."""
    return _configured(training.recipe, training.file)


def students_of(folder: Folder, training: Training | None) -> list[Path]:
    """List the folders that hold a student of the dataset, of every variant."""
    folders = list(folder.local.glob(f"{_STUDENT}*")) if folder.local is not None else []
    outs = {*folders, *([training.out] if training else [])}
    return sorted(out for out in outs if trainer.can_resume(out) and _is_run(out))


def _is_run(out: Path) -> bool:
    folder = Folder.at(out)
    return not out.is_symlink() and is_training_run(folder, folder.entries())


def discard_students(folder: Folder, training: Training | None) -> None:
    """Delete the students of a dataset that is replaced, of every variant."""
    for out in students_of(folder, training):
        shutil.rmtree(out)


def _of_variant(name: str, recipe: Recipe) -> str:
    return f"{name}-{recipe.variant}" if recipe.variant else name


def _file(recipe: Recipe, train: Path | None) -> Path | None:
    if train is not None or not isinstance(recipe.train, str):
        return train
    return Path(recipe.paths["train",])


def _named(recipe: Recipe, train: Path | None, file: Path | None, output: str) -> Path:
    """Resolve the folder that a student's configuration names."""
    if file is None:
        return Path(recipe.resolver.landing(("train", "output"), output))
    if train is None and recipe.resolver.origins.owner(("train",)) is not None:
        return Path(recipe.resolver.landing(("train",), output))
    return file.parent / output


def _written(recipe: Recipe, folder: Path) -> Path:
    path = folder / "student.yaml"
    path.write_text(dump_text(recipe.train), "utf-8")
    return path


class _Evaluation(BaseModel):
    correct: int
    total: int
    unparsed: int


class _Result(BaseModel):
    steps: int
    before: _Evaluation | None
    after: _Evaluation | None
    checkpoint: str | None


def _accuracy(evaluation: Mapping[str, Any] | None) -> Accuracy | None:
    if evaluation is None:
        return None
    return Accuracy(evaluation["correct"], evaluation["total"], evaluation["unparsed"])


def _configured(recipe: Recipe, file: Path | None) -> Mapping[str, Any]:
    """Read the student's configuration as written, unchecked."""
    data = load_document(file).data if file else recipe.train
    return data if isinstance(data, Mapping) else {}
