"""What a student learns from rows: the seam between the optimizer's step and the kinds of loss.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar


class TrainSample(Protocol):
    """One thing to learn, and how much it weighs.

    The loss of a global batch is the sum over the parts of share x (weighted sum / sum of weights),
    so a part that has no sample in a batch counts nothing.
    """

    @property
    def weight(self) -> float: ...
    @property
    def tokens(self) -> int: ...
    @property
    def read(self) -> int:
        """How many of its tokens an encoder reads for a decoder."""
        ...

    @property
    def predicted(self) -> int:
        """How many predictions the model's head makes for it."""
        ...

    @property
    def cut(self) -> bool: ...
    @property
    def part(self) -> str:
        """The part of the loss that it belongs to, one of those of the objective."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return a copy with its weight multiplied."""
        ...


E = TypeVar("E", bound=TrainSample)


class Objective(Protocol[E]):
    """What is minimised: makes training samples of rows, and losses of samples."""

    @property
    def shares(self) -> Mapping[str, float]:
        """What each part of the loss weighs."""
        ...

    def samples(self, row: Mapping[str, Any], weight: float) -> Sequence[E]:
        """Return what there is to learn from a row. Raises InputError for one that teaches
        nothing."""
        ...

    def losses(self, samples: Sequence[E], places: int) -> Sequence[Callable[[], Any]]:
        """Cut samples into micro-batches of at most about `places` token positions.

        Each micro-batch is a function that computes its summed weighted loss, a scalar tensor to
        be differentiated before the next one is called. Samples come in the order of the rows.
        """
        ...
