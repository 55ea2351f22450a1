"""A student sharded over the ranks by FSDP2, and what crosses over to whole tensors.

                 rank 0                          rank 1
    at rest      first half of every tensor      second half: weights, gradients, AdamW's moments
    forward      all-gather block 0: all its weights on both ranks; compute; free; block 1 ...
    backward     all-gather each block again; reduce-scatter its gradients: summed, not averaged,
                 since losses are divided by the weights of the global batch
    step         AdamW on its half               on its half

    evaluation,  `gathered_weights` copies all   sends its half
    outcome      into an unsharded copy

Each transformer block, the rest of the model and each projection is one unit that is gathered. A
gather is a collective, so all ranks run the same number of passes. Knows nothing of losses, data or
files. With several GPUs it was not run; with several processes on a CPU it is tested.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

import torch
from torch.distributed.fsdp import FSDPModule, MixedPrecisionPolicy, fully_shard
from torch.distributed.tensor import DTensor, distribute_tensor

from streamtrain.models import Student, repeated_blocks


def shard(student: Student) -> Student:
    """Shard a student's parameters, and those of its projections, over all ranks.

    Every rank holds the same full student before. It may be on the CPU, from where it moves to the
    student's device block by block.
    """
    device = student.device
    mesh = torch.distributed.init_device_mesh(device.type, (torch.distributed.get_world_size(),))
    policy = MixedPrecisionPolicy()
    if student.bfloat16:
        policy = MixedPrecisionPolicy(param_dtype=torch.bfloat16, reduce_dtype=torch.float32)
    parts = [*repeated_blocks(student.model), student.model, *(student.projections or ())]
    for part in parts:
        _add_up(fully_shard(part, mesh=mesh, mp_policy=policy))
    return replace(student, sharded=True)


def _add_up(module: FSDPModule) -> None:
    """Sum gradients over the ranks instead of averaging them."""
    module.set_gradient_divide_factor(1.0)
    # A factor alone makes it NCCL's own operation, which gloo doesn't have.
    module.set_force_sum_reduction_for_comms(True)


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """Gather a whole tensor; a collective if it is sharded."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local_shard(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """Cut this rank's shard out of a whole tensor that every rank has, placed as `like`."""
    if not isinstance(like, DTensor):
        return tensor
    placed = tensor.to(like.device)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)


def load_state(
    optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, torch.Tensor]]
) -> None:
    """Load the optimizer's state by parameter number from whole tensors; each is sharded as its
    parameter.

    The optimizer keeps its own settings.
    """
    parameters = [p for group in optimizer.param_groups for p in group["params"]]
    moments = {
        number: {
            name: local_shard(value, parameters[number]) if value.shape else value
            for name, value in of.items()
        }
        for number, of in state.items()
    }
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})


def fill_absent(parameters: Sequence[torch.nn.Parameter]) -> None:
    """Set the gradient of every parameter without one to zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def total_norm(parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """Compute the norm of all gradients together, sharded ones included."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return full_tensor(torch.nn.utils.get_total_norm(gradients))


def unsharded_copy(student: Student) -> Student:
    """Copy a student before it is sharded."""
    return replace(student, model=copy.deepcopy(student.model))


@contextlib.contextmanager
def gathered_weights(student: Student, copied: Student | None) -> Iterator[None]:
    """Hold a sharded student's weights in rank 0's unsharded copy, on its device.

    A context manager that every rank enters, the others with `copied` None to join the gather. Does
    nothing if the student isn't sharded.
    """
    if not student.sharded:
        yield
        return
    parameters = dict(copied.trainable()) if copied is not None else {}
    with torch.no_grad():
        for name, parameter in student.trainable():
            value = full_tensor(parameter.detach())
            if name in parameters:
                parameters[name].copy_(value)
    if copied is None:
        yield
        return
    copied.model.to(copied.device)
    try:
        yield
    finally:
        copied.model.to("cpu")
