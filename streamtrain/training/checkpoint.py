"""A run on disk: the trained weights, optimizer and progress, saved so that a kill loses no more
than the steps since the last one.

    checkpoints/
      latest                    the name of a checkpoint
      step-00000040/            never changed once it has this name
        shard-00001-*.safetensors     rank 0's part of every tensor
        shard-00002-*.safetensors     rank 1's, where the student is sharded
        progress.json           version, progress, and the size of each shard's file
      .step-00000060.tmp/       being written, or left by a kill

Each rank writes its own shards (torch.distributed.checkpoint, as safetensors, so that nothing is
unpickled), and any number of ranks reads its own parts of them. Rank 0 then writes progress.json,
the last file of a checkpoint, and gives the folder its name; `latest` is written after that, and
old checkpoints are removed last. What `latest` names is never removed and never written again: a
step that is saved twice gets a second name. Whatever instant a kill or a power failure hits, the
checkpoint before or the new one is whole, and `latest` finds it.

Format 1, of version 0.1.0, had whole tensors in one file; it is still read. Knows nothing of the
training loop.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from pydantic import BaseModel, TypeAdapter

from raygen.core import DamagedFileError, read_json_object
from streamtrain.data import Cursor
from streamtrain.errors import InputError
from streamtrain.models import Student
from streamtrain.training import durable
from streamtrain.training.progress import Selection, TrainProgress
from streamtrain.training.shards import OPTIMIZER, WEIGHTS, load_full, load_shards, save_shards

FORMAT_VERSION = 2
"""Checkpoints of version 1 are read too."""

KEPT = 2

_LATEST = "latest"
_PROGRESS = "progress.json"
_NAME = re.compile(r"step-(\d+)(?:\.(\d+))?")
"""A checkpoint's name: its step, and how often that step had been saved before."""

_PROGRESS_TYPE = TypeAdapter(TrainProgress)

_LEFT = re.compile(r"\.step-\d+(\.\d+)?\.(tmp|old)")
"""What a kill leaves of one that was being written or removed."""


class _Sizes(BaseModel):
    sizes: dict[str, int] = {}


def save(
    folder: Path,
    student: Student,
    optimizer: torch.optim.Optimizer,
    progress: TrainProgress,
    writes: bool = True,
) -> Path:
    """Write a checkpoint, make it the latest and remove the oldest; returns its path.

    `folder` holds the checkpoints of the run. Every rank of a sharded student calls this with the
    same folder, each to write its own shards; one rank `writes` the rest. Raises OSError; the
    earlier checkpoints stay usable.
    """
    target = _free_name(folder, progress.step)
    if not writes and not student.sharded:
        return target
    # By the step alone, since a rank may see old names in a network's file system.
    draft = folder / f".step-{progress.step:08d}.tmp"
    if writes:
        for left in folder.glob(".step-*"):
            if _LEFT.fullmatch(left.name) and not left.is_symlink():
                shutil.rmtree(left)
    save_shards(draft, student, optimizer)
    if not writes:
        return target
    sizes = {path.name: path.stat().st_size for path in draft.glob("*.safetensors")}
    durable.write_text(draft / _PROGRESS, json.dumps(_to_json(progress, sizes), indent=1))
    durable.rename(draft, target)
    durable.write_text(folder / _LATEST, target.name + "\n")
    for old in [path for path in _by_age(folder) if path != target][: 1 - KEPT]:
        durable.remove_folder(old)
    return target


def latest(folder: Path) -> Path | None:
    """Find the checkpoint that the file `latest` names or, if that one is incomplete, the newest
    complete one; None if there is none."""
    pointer = folder / _LATEST
    name = pointer.read_bytes()[:200].decode("utf-8", "replace").strip() if pointer.exists() else ""
    named = [folder / name] if _NAME.fullmatch(name) else []
    newest_first = reversed(_by_age(folder))
    return next((path for path in [*named, *newest_first] if _is_complete(path)), None)


def load_progress(checkpoint: Path) -> TrainProgress:
    """Load the progress of a checkpoint. Raises InputError if this version can't read it."""
    path = checkpoint / _PROGRESS
    data = read_json_object(path, "the progress of a run, as its checkpoints have it")
    version = data.pop("version", None)
    if version not in (1, FORMAT_VERSION):
        raise InputError(
            f"{checkpoint} has the format {version}, of another version of streamtrain; this one "
            f"reads 1 and {FORMAT_VERSION}; start a new run, or go on with the version that began"
        )
    data.pop("sizes", None)
    try:
        selection = Selection(**data.pop("selection", {}))
        cursor = Cursor.from_json(data["cursor"])
        progress = TrainProgress(**{**data, "cursor": cursor, "selection": selection})
        # The types of a hostile or damaged file; strictly, and as JSON has them.
        return _PROGRESS_TYPE.validate_json(json.dumps(asdict(progress)), strict=True)
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(
            f"{path} can't be read as the progress of a run ({error!r}); start a new run"
        ) from error


def load_weights(
    checkpoint: Path, student: Student, optimizer: torch.optim.Optimizer | None = None
) -> None:
    """Load weights, and the optimizer's state if given, from a checkpoint; or weights alone that
    `save_weights` wrote.

    The optimizer keeps its own settings. Raises InputError if the checkpoint is of another student,
    StreamtrainError if it can't be read.
    """
    if (checkpoint / WEIGHTS).exists():
        load_full(checkpoint, student, optimizer)
    else:
        load_shards(checkpoint, student, optimizer)


def _free_name(folder: Path, step: int) -> Path:
    """Name a new checkpoint of this step, after those of the same step."""
    taken = [repeat for at, repeat in map(_age, _by_age(folder)) if at == step]
    suffix = f".{max(taken) + 1}" if taken else ""
    return folder / f"step-{step:08d}{suffix}"


def _by_age(folder: Path) -> list[Path]:
    """List the checkpoints in a folder, the oldest first."""
    return sorted((path for path in folder.glob("step-*") if _NAME.fullmatch(path.name)), key=_age)


def _age(checkpoint: Path) -> tuple[int, int]:
    """Parse the step of a checkpoint, and how often that step had been saved before."""
    match = _NAME.fullmatch(checkpoint.name)
    return (int(match[1]), int(match[2] or 0)) if match else (-1, 0)


def _is_complete(checkpoint: Path) -> bool:
    """Tell whether all files of a checkpoint have their size; in version 1 sizes are not known."""
    try:
        data = read_json_object(checkpoint / _PROGRESS, "the progress of a run", _Sizes)
    except (OSError, DamagedFileError):
        return False
    if data.get("version") == 1:
        return all((checkpoint / name).exists() for name in (WEIGHTS, OPTIMIZER))
    return all(_has_size(checkpoint / name, size) for name, size in data.get("sizes", {}).items())


def _has_size(path: Path, size: int) -> bool:
    return path.exists() and path.stat().st_size == size


def _to_json(progress: TrainProgress, sizes: Mapping[str, int]) -> dict[str, Any]:
    data = {name: getattr(progress, name) for name in TrainProgress.__dataclass_fields__}
    return {
        "version": FORMAT_VERSION,
        **data,
        "cursor": progress.cursor.to_json(),
        "selection": asdict(progress.selection),
        "sizes": dict(sizes),
    }
