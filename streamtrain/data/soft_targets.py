"""A teacher's token probabilities as tensors beside a batch.

Knows nothing of sequences, models or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from streamtrain.data.top_k_targets import TopKTargets
from streamtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class SoftTargets:
    """For each place (R, T) of a batch the number of what a teacher said there, -1 for nothing;
    and by those numbers its most probable tokens and their log-probabilities, both (n, k)."""

    numbers: torch.Tensor
    ids: torch.Tensor
    logprobs: torch.Tensor

    def to(self, device: torch.device) -> SoftTargets:
        """The same on a device."""
        return SoftTargets(self.numbers.to(device), self.ids.to(device), self.logprobs.to(device))


def make_soft_targets(
    said: Sequence[tuple[int, int, TopKTargets]], rows: int, width: int
) -> SoftTargets | None:
    """What teachers said, each from a (row, place) on; None where none said anything.

    Raises InputError where they gave different numbers of tokens.
    """
    if not said:
        return None
    sizes = {len(told.ids[0]): told.row for _, _, told in said}
    if len(sizes) > 1:
        found = " and ".join(f"{size} ({row})" for size, row in sorted(sizes.items()))
        raise InputError(
            f"token_probabilities has different numbers of tokens at a place: {found}; make them "
            "with one `top`, since a loss over fewer tokens is another loss"
        )
    numbers = torch.full((rows, width), -1)
    count = 0
    for row, place, told in said:
        size = len(told.tokens)
        numbers[row, place : place + size] = torch.arange(count, count + size)
        count += size
    ids = torch.tensor([place for _, _, told in said for place in told.ids])
    return SoftTargets(
        numbers, ids, torch.tensor([place for _, _, told in said for place in told.logprobs])
    )
