"""A student spread over the ranks: each keeps a part of every tensor and gathers a layer while it
is computed (FSDP2).

Its gradients are summed over the ranks as they come, never averaged: losses are divided by the
weights of the global batch. Knows nothing of losses, data or files. With several GPUs it was not
run; with several processes on a CPU it is tested.
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
    """The student with its parameters, and those of its projections, spread over all ranks.

    Every rank has the same whole student before; it may lie on the CPU, from where it moves to the
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
    module.set_gradient_divide_factor(1.0)
    # A factor alone makes it NCCL's own operation, which gloo doesn't have.
    module.set_force_sum_reduction_for_comms(True)


def full_tensor(tensor: torch.Tensor) -> torch.Tensor:
    """All of a tensor. Where it is sharded, every rank calls this."""
    return tensor.full_tensor() if isinstance(tensor, DTensor) else tensor


def local_shard(tensor: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """This rank's part of a whole tensor that every rank has, as `like` is spread."""
    if not isinstance(like, DTensor):
        return tensor
    placed = tensor.to(like.device)
    return distribute_tensor(placed, like.device_mesh, like.placements, src_data_rank=None)


def load_state(
    optimizer: torch.optim.Optimizer, state: Mapping[int, Mapping[str, torch.Tensor]]
) -> None:
    """Give an optimizer what it kept of each parameter by its number, as whole tensors: each is
    spread as its parameter is. The optimizer's own settings stay."""
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
    """Give every parameter without a gradient one of zero."""
    for parameter in parameters:
        if parameter.grad is None:
            parameter.grad = torch.zeros_like(parameter)


def total_norm(parameters: Sequence[torch.nn.Parameter]) -> torch.Tensor:
    """The norm of all gradients together, sharded ones included."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    return full_tensor(torch.nn.utils.get_total_norm(gradients))


def unsharded_copy(student: Student) -> Student:
    """A copy of a student that isn't sharded yet."""
    return replace(student, model=copy.deepcopy(student.model))


@contextlib.contextmanager
def gathered_weights(student: Student, copied: Student | None) -> Iterator[None]:
    """While it lasts, one rank's twin of a sharded student has its weights, and lies on its device.

    Every rank enters it, the others without a twin. Nothing happens where nothing is sharded.
    """
    if not student.sharded:
        yield
        return
    own = dict(copied.trainable()) if copied is not None else {}
    with torch.no_grad():
        for name, parameter in student.trainable():
            value = full_tensor(parameter.detach())
            if name in own:
                own[name].copy_(value)
    if copied is None:
        yield
        return
    copied.model.to(copied.device)
    try:
        yield
    finally:
        copied.model.to("cpu")
