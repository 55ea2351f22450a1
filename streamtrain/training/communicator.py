"""Collectives over the ranks that train together: broadcast, and sums.

Uses torch.distributed if there is more than one rank; knows nothing of Ray, data or models.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import torch


class Communicator(Protocol):
    """The ranks of a run. Every method is a collective: all ranks call it, in the same order."""

    @property
    def rank(self) -> int: ...
    @property
    def size(self) -> int: ...

    def broadcast(self, value: Any) -> Any:
        """Return rank 0's value on every rank."""
        ...

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        """Sum each value over the ranks."""
        ...

    def all_reduce_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        """Replace every gradient by its sum over the ranks; an absent one counts as zero."""
        ...


class SingleProcess:
    """The communicator of a single rank."""

    rank = 0
    size = 1

    def broadcast(self, value: Any) -> Any:
        return value

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        return list(values)

    def all_reduce_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        return


class ProcessGroup:
    """The ranks of torch.distributed's default process group, on `device`."""

    def __init__(self, device: torch.device) -> None:
        self.rank = torch.distributed.get_rank()
        self.size = torch.distributed.get_world_size()
        self._device = device

    def broadcast(self, value: Any) -> Any:
        box = [value]
        torch.distributed.broadcast_object_list(box, src=0, device=self._device)
        return box[0]

    def all_reduce(self, values: Sequence[float]) -> list[float]:
        tensor = torch.tensor(values, dtype=torch.float64, device=self._device)
        torch.distributed.all_reduce(tensor)
        return [float(value) for value in tensor]

    def all_reduce_gradients(self, parameters: Sequence[torch.nn.Parameter]) -> None:
        for parameter in parameters:
            if parameter.grad is None:
                parameter.grad = torch.zeros_like(parameter)
        # One message for all: an adapter has hundreds of small tensors.
        gradients = [parameter.grad for parameter in parameters]
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        torch.distributed.all_reduce(flat)
        for gradient, part in zip(
            gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True
        ):
            gradient.copy_(part.view_as(gradient))
