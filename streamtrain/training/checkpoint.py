"""A run on disk: the trained weights, optimizer and progress, saved so that a kill loses no more
than the steps since the last one.

A checkpoint is a folder that is written under a temporary name and renamed, then named by the file
`latest`. Knows nothing of the training loop.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch

from streamtrain.data import Cursor
from streamtrain.errors import InputError
from streamtrain.models import Load, Student
from streamtrain.training.selection import Selection
from streamtrain.training.sharding import load_state, part_of, whole, whole_state
from streamtrain.training.step import Step

FORMAT_VERSION = 1
KEPT = 2

_WEIGHTS = "trained.safetensors"
_OPTIMIZER = "optimizer.pt"
_PROGRESS = "progress.json"


@dataclass(slots=True)
class Progress:
    """How far a run is: what a resume needs besides weights and optimizer.

    `total` and `total_known_at` are the schedule's; `seconds`, `wait_s` and `step_s`, which the
    steps alone took, add up over restarts, and so do `flops` and what the devices could have done
    at their peak, 0 where that isn't known; `epoch` is how often the known units were used;
    `settings` are the configuration that the order of batches hangs on; `selected_at` is the last
    step that the select set was asked after, and `validating` are those whose figures aren't there
    yet; `left_out` counts the dataset's examples that aren't trained on, by reason.
    """

    settings: Mapping[str, Any]
    cursor: Cursor = field(default_factory=Cursor)
    step: int = 0
    rows: int = 0
    tokens: int = 0
    cut: int = 0
    seconds: float = 0.0
    wait_s: float = 0.0
    step_s: float = 0.0
    epoch: float = 0.0
    flops: float = 0.0
    peak_flops: float = 0.0
    total: int | None = None
    total_known_at: int = 0
    first_step_time: float | None = None
    ended_at_first_step: bool | None = None
    before: Mapping[str, Any] | None = None
    selection: Selection = field(default_factory=Selection)
    selected_at: int | None = None
    validating: list[int] = field(default_factory=list)
    left_out: Mapping[str, int] = field(default_factory=dict)

    def add(self, step: Step, rows: int, load: Load) -> None:
        """Count one more step, over so many rows."""
        self.step += 1
        self.rows += rows
        self.tokens += step.tokens
        self.cut += step.cut
        self.step_s += step.seconds
        self.flops += load.flops(step.tokens, step.read, step.predicted)
        self.peak_flops += (load.peak or 0.0) * load.devices * step.seconds


def save(
    folder: Path,
    student: Student,
    optimizer: torch.optim.Optimizer,
    at: Progress,
    writes: bool = True,
) -> Path:
    """Write a checkpoint into `folder`, make it the latest and drop the oldest; returns its path.

    Every rank of a sharded student calls it, because its tensors are gathered, and one `writes`.
    Raises OSError; the earlier checkpoints stay usable.
    """
    from safetensors.torch import save_file

    weights, state = _weights(student), whole_state(optimizer)
    target = folder / f"step-{at.step:08d}"
    if not writes:
        return target
    temporary = folder / f".{target.name}.tmp"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir(parents=True)
    save_file(weights, temporary / _WEIGHTS)
    torch.save(state, temporary / _OPTIMIZER)
    (temporary / _PROGRESS).write_text(json.dumps(_to_json(at), indent=1), encoding="utf-8")
    shutil.rmtree(target, ignore_errors=True)
    temporary.rename(target)
    _write_latest(folder, target.name)
    for old in sorted(folder.glob("step-*"))[:-KEPT]:
        shutil.rmtree(old, ignore_errors=True)
    return target


def save_weights(folder: Path, student: Student) -> None:
    """Write the trained weights alone, in place of those that were there. Raises OSError."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{_WEIGHTS}.tmp"
    save_file(_weights(student), draft)
    draft.replace(folder / _WEIGHTS)


def copy_weights(source: Path, target: Path) -> None:
    """Put weights that `save_weights` wrote in place of those of another folder. Raises OSError."""
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".{_WEIGHTS}.tmp"
    shutil.copyfile(source / _WEIGHTS, draft)
    draft.replace(target / _WEIGHTS)


def latest(folder: Path) -> Path | None:
    """The newest whole checkpoint in `folder`, None where there is none."""
    pointer = folder / "latest"
    if not pointer.exists():
        return None
    return folder / pointer.read_text(encoding="utf-8").strip()


def load_progress(checkpoint: Path) -> Progress:
    """The progress of a checkpoint. Raises InputError where this version can't read it."""
    data = json.loads((checkpoint / _PROGRESS).read_text(encoding="utf-8"))
    if data.pop("version", None) != FORMAT_VERSION:
        raise InputError(
            f"{checkpoint} was written by another version of streamtrain; start a new run"
        )
    selection = Selection(**data.pop("selection", {}))
    return Progress(**{**data, "cursor": Cursor.from_json(data["cursor"]), "selection": selection})


def load_weights(
    checkpoint: Path, student: Student, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Put a checkpoint's weights, and its optimizer's state, back in place.

    Raises InputError where the student is another one than the checkpoint's.
    """
    from safetensors.torch import load_file

    weights = load_file(checkpoint / _WEIGHTS)
    parameters = dict(student.trainable())
    if student.projections is None:
        # They served training alone; a student that only answers has none.
        weights = {n: w for n, w in weights.items() if not n.startswith("projections.")}
    if weights.keys() != parameters.keys():
        raise InputError(f"{checkpoint} belongs to another student; start a new run")
    with torch.no_grad():
        for name, parameter in parameters.items():
            parameter.copy_(part_of(weights[name], parameter))
    if optimizer is not None:
        state = torch.load(checkpoint / _OPTIMIZER, map_location="cpu", weights_only=True)
        load_state(optimizer, state)


def _weights(student: Student) -> dict[str, torch.Tensor]:
    return {name: whole(p.detach()).cpu().contiguous() for name, p in student.trainable()}


def _write_latest(folder: Path, name: str) -> None:
    temporary = folder / ".latest.tmp"
    with temporary.open("w", encoding="utf-8") as file:
        file.write(name + "\n")
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(folder / "latest")


def _to_json(at: Progress) -> dict[str, Any]:
    data = {name: getattr(at, name) for name in Progress.__dataclass_fields__}
    selection = asdict(at.selection)
    return {
        "version": FORMAT_VERSION,
        **data,
        "cursor": at.cursor.to_json(),
        "selection": selection,
    }
