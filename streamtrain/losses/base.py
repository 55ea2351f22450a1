"""The seam between the optimizer step and the losses: samples, and the objective over them.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar


class TrainSample(Protocol):
    """A training sample and its weight.

    The loss of a global batch is the sum over parts of share x (weighted sum / sum of weights); a
    part without a sample in the batch contributes 0.
    """

    @property
    def weight(self) -> float: ...
    @property
    def tokens(self) -> int: ...
    @property
    def read(self) -> int:
        """The number of its tokens that an encoder reads."""
        ...

    @property
    def predicted(self) -> int:
        """The number of predictions that the head makes for it."""
        ...

    @property
    def cut(self) -> bool: ...
    @property
    def part(self) -> str:
        """The part of the loss that it belongs to, a key of `Objective.shares`."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return a copy with its weight multiplied by `factor`."""
        ...


E = TypeVar("E", bound=TrainSample)


class Objective(Protocol[E]):
    """What is minimised: turns rows into training samples, and samples into losses."""

    @property
    def shares(self) -> Mapping[str, float]:
        """The weight of each part of the loss."""
        ...

    def samples(self, row: Mapping[str, Any], weight: float) -> Sequence[E]:
        """Turn a row into training samples. Raises InputError for a row that teaches nothing."""
        ...

    def losses(self, samples: Sequence[E], capacity: int) -> Sequence[Callable[[], Any]]:
        """Split samples into micro-batches of at most about `capacity` tokens.

        Each micro-batch is a function that computes its summed weighted loss, a scalar tensor; call
        its backward before calling the next. Samples are in the order of the rows.
        """
        ...
