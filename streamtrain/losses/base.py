"""What a student learns from rows: the seam between the optimizer's step and the kinds of loss.

Knows nothing of optimizers, ranks or streams.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol, Self, TypeVar


class TrainSample(Protocol):
    """One thing to learn, and how much it weighs.

    The loss of a global batch is the sum over the parts of share x (weighted sum / sum of weights),
    so a part that has no exercise in a batch counts nothing.
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
        """The part of the loss that it belongs to, one of those of the lesson."""
        ...

    def scaled(self, factor: float) -> Self:
        """Return a copy with its weight multiplied."""
        ...


E = TypeVar("E", bound=TrainSample)


class Objective(Protocol[E]):
    """Rows as exercises, and exercises as losses."""

    @property
    def shares(self) -> Mapping[str, float]:
        """What each part of the loss weighs."""
        ...

    def samples(self, row: Mapping[str, Any], weight: float) -> Sequence[E]:
        """Return what there is to learn from a row. Raises InputError for one that teaches
        nothing."""
        ...

    def losses(self, exercises: Sequence[E], places: int) -> Sequence[Callable[[], Any]]:
        """Return for each micro-batch of at most about `places` places what computes its
        weighted loss, a tensor to be differentiated before the next; exercises come in the order
        of the rows."""
        ...
