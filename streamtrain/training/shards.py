"""The trained tensors on disk: weights, and the optimizer's state.

Shards are written and read by torch.distributed.checkpoint, each rank its own, whatever the number
of ranks was before; they are safetensors, so that nothing is unpickled. Weights alone, which a
validator or the lens loads, are one file of whole tensors. Knows nothing of checkpoints' names.
"""

from __future__ import annotations

import contextlib
import shutil
import warnings
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import torch

from streamtrain.errors import InputError, StreamtrainError
from streamtrain.models import Student
from streamtrain.training import durable
from streamtrain.training.sharding import full_tensor, load_state, local_shard

WEIGHTS = "trained.safetensors"
"""Whole tensors by name: weights that were saved alone, or of a checkpoint of version 1."""

OPTIMIZER = "optimizer.pt"
"""The optimizer's state in a checkpoint of version 1."""


def save_weights(folder: Path, student: Student) -> None:
    """Save the trained weights alone, replacing older ones. Raises OSError."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    draft = folder / f".{WEIGHTS}.tmp"
    weights = {name: full_tensor(p.detach()).cpu().contiguous() for name, p in student.trainable()}
    save_file(weights, draft)
    durable.rename(draft, folder / WEIGHTS)


def copy_weights(source: Path, target: Path) -> None:
    """Copy weights that `save_weights` wrote to another folder, replacing older ones. Raises
    OSError."""
    target.mkdir(parents=True, exist_ok=True)
    draft = target / f".{WEIGHTS}.tmp"
    shutil.copyfile(source / WEIGHTS, draft)
    durable.rename(draft, target / WEIGHTS)


def save_shards(draft: Path, student: Student, optimizer: torch.optim.Optimizer) -> None:
    """Save this rank's shard of every tensor, synced; whole tensors if nothing is sharded.

    Every rank of a sharded student calls it with the same folder. Raises OSError.
    """
    from torch.distributed.checkpoint import HuggingFaceStorageWriter, save

    tensors = {_weight_key(name): p.detach() for name, p in student.trainable()}
    for name, parameter in student.trainable():
        for slot, value in optimizer.state.get(parameter, {}).items():
            tensors[_slot_key(name, slot)] = value
    writer = HuggingFaceStorageWriter(str(draft), save_distributed=True)
    _collectively(
        lambda: save(tensors, storage_writer=writer, no_dist=not student.sharded),
        lambda cause: OSError(f"can't write the checkpoint {draft}: {cause}"),
    )


def load_shards(
    checkpoint: Path, student: Student, optimizer: torch.optim.Optimizer | None
) -> None:
    """Load this rank's shard of every tensor in place. Raises as `load_weights` does."""
    from torch.distributed.checkpoint import HuggingFaceStorageReader, load

    with _readable(checkpoint):
        stored = HuggingFaceStorageReader(str(checkpoint)).read_metadata().state_dict_metadata
    sizes = {name: stored[key].size for key in stored if (name := _weight_of(key))}
    parameters = dict(student.trainable())
    _check_same_student(checkpoint, student, sizes)
    tensors = {_weight_key(name): p.detach() for name, p in parameters.items()}
    slots: dict[str, dict[str, torch.Tensor]] = {}
    for name, slot in _slots(stored) if optimizer is not None else ():
        key = _slot_key(name, slot)
        with _readable(checkpoint):
            like, kind = parameters[name].detach(), stored[key].properties.dtype
        scalar = stored[key].size == torch.Size()
        empty = torch.zeros((), dtype=kind) if scalar else torch.zeros_like(like, dtype=kind)
        slots.setdefault(name, {})[slot] = tensors[key] = empty
    reader = HuggingFaceStorageReader(str(checkpoint))
    _collectively(
        lambda: load(tensors, storage_reader=reader, no_dist=not student.sharded),
        lambda cause: _unreadable(checkpoint, cause),
    )
    if optimizer is not None:
        numbers = {id(p): n for n, p in enumerate(_optimised(optimizer))}
        state = {numbers[id(parameters[name])]: of for name, of in slots.items()}
        optimizer.load_state_dict({**optimizer.state_dict(), "state": state})


def load_full(checkpoint: Path, student: Student, optimizer: torch.optim.Optimizer | None) -> None:
    """Load full tensors, of which this rank keeps its shard: weights alone, or all of a checkpoint
    of version 1. Raises InputError if they are of another student."""
    from safetensors.torch import load_file

    with _readable(checkpoint):
        weights = load_file(checkpoint / WEIGHTS)
    _check_same_student(checkpoint, student, {name: w.shape for name, w in weights.items()})
    with torch.no_grad():
        for name, parameter in student.trainable():
            parameter.copy_(local_shard(weights[name], parameter))
    if optimizer is not None:
        with _readable(checkpoint):
            state = torch.load(checkpoint / OPTIMIZER, map_location="cpu", weights_only=True)
            load_state(optimizer, state["state"])


@contextlib.contextmanager
def _readable(checkpoint: Path) -> Iterator[None]:
    """Convert an error of a checkpoint's files to one message."""
    from safetensors import SafetensorError

    try:
        yield
    except (
        EOFError, OSError, SafetensorError, UnpicklingError,
        AttributeError, LookupError, RecursionError, RuntimeError, TypeError, ValueError,
    ) as error:  # fmt: skip
        raise _unreadable(checkpoint, str(error)) from error


def _unreadable(checkpoint: Path, cause: str) -> StreamtrainError:
    return StreamtrainError(
        f"can't read the checkpoint {checkpoint}: {cause}; remove it to go on from the one before"
    )


def _check_same_student(
    checkpoint: Path, student: Student, stored: Mapping[str, torch.Size]
) -> None:
    """Raise InputError if a student's parameters differ from the stored ones in name or size."""
    parameters = {name: parameter.shape for name, parameter in student.trainable()}
    if student.projections is None:
        # They served training alone; a student that only answers has none.
        stored = {n: size for n, size in stored.items() if not n.startswith("projections.")}
    if dict(stored) != parameters:
        raise InputError(f"{checkpoint} belongs to another student; start a new run")


def _collectively(act: Callable[[], Any], error: Callable[[str], Exception]) -> None:
    """Save or load on all ranks that share the tensors; raises `error` with the cause from any
    rank.

    torch raises a BaseException there, and warns about a single process, which is no mistake.
    """
    from torch.distributed.checkpoint import CheckpointException

    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="torch.distributed is disabled")
            act()
    except CheckpointException as failure:
        cause = next(iter(failure.failures.values()))[0]
        raise error(str(cause) or type(cause).__name__) from failure


def _optimised(optimizer: torch.optim.Optimizer) -> list[torch.nn.Parameter]:
    return [parameter for group in optimizer.param_groups for parameter in group["params"]]


def _weight_key(name: str) -> str:
    return f"weights.{name}"


def _weight_of(key: str) -> str | None:
    return key.removeprefix("weights.") if key.startswith("weights.") else None


def _slot_key(name: str, slot: str) -> str:
    """Name a tensor that the optimizer keeps of a parameter, such as its mean gradient."""
    return f"optimizer.{name}.{slot}"


def _slots(keys: Iterable[str]) -> Iterator[tuple[str, str]]:
    for key in keys:
        if key.startswith("optimizer."):
            name, _, slot = key.removeprefix("optimizer.").rpartition(".")
            yield name, slot
