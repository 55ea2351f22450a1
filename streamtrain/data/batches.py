"""Sequences as padded or packed tensors with a loss weight on each token.

A packed row holds several sequences whose attention stays inside their own borders
(block-diagonal) and whose positions start anew, on any attention kernel that takes a 4-dimensional
mask. Knows nothing of tokenizers, models, losses or ranks.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from streamtrain.data.tokenization import TokenizedExample
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


@dataclass(frozen=True, slots=True)
class Batch:
    """Tensors of one forward pass over R rows of T places.

    `ids`, `positions` and `weights` are (R, T). `mask` is (R, T), 1 where a token is, or for
    packed rows a boolean (R, 1, T, T), true where a token may look. A flat row has no such mask;
    `lengths` are those of its sequences, of which an attention kernel is told instead.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor
    lengths: tuple[int, ...] = ()
    soft: SoftTargets | None = None

    def to(self, device: torch.device) -> Batch:
        """The same batch on a device."""
        parts = (self.ids, self.positions, self.weights, self.mask)
        ids, positions, weights, mask = (part.to(device) for part in parts)
        soft = self.soft and self.soft.to(device)
        return Batch(ids, positions, weights, mask, self.lengths, soft)


def group_by_length(lengths: Sequence[int], capacity: int) -> Iterator[list[int]]:
    """Numbers of similar lengths, the longest first, that padded take about `capacity` places."""
    left = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while left:
        count = max(1, capacity // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def split_micro_batches(
    sequences: Sequence[TokenizedExample], capacity: int, pack: bool
) -> Iterator[list[list[TokenizedExample]]]:
    """Micro-batches of rows, each row a list of sequences, of about `capacity` places at most, with
    those of inputs that stand apart.

    Sequences of similar length share a micro-batch, so that little is padded; packed, one row
    takes them all and nothing is padded. A sequence longer than `capacity` stands alone.
    """
    ordered = sorted(sequences, key=lambda sequence: sequence.tokens, reverse=True)
    while ordered:
        if pack:
            group = _fill(ordered, capacity)
            yield [group]
        else:
            count = max(1, capacity // ordered[0].tokens)
            group, ordered = ordered[:count], ordered[count:]
            yield [[sequence] for sequence in group]


def collate(rows: Sequence[Sequence[TokenizedExample]], pad: int, flat: bool = False) -> Batch:
    """Tensors of rows of one or more sequences each, padded on the right with the id `pad`.

    With `flat`, one row of several has its lengths in place of a mask.
    """
    width = max(sum(len(sequence.ids) for sequence in row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    weights = torch.zeros(len(rows), width)
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    owner = torch.full((len(rows), width), -1)
    said = []
    for at, row in enumerate(rows):
        start = 0
        for number, sequence in enumerate(row):
            end = start + len(sequence.ids)
            ids[at, start:end] = torch.tensor(sequence.ids)
            weights[at, start:end] = torch.tensor(sequence.weights)
            positions[at, start:end] = torch.arange(end - start)
            owner[at, start:end] = number
            if sequence.top_k is not None:
                said.append((at, start + sequence.soft_start, sequence.top_k))
            start = end
    soft = make_soft_targets(said, len(rows), width)
    if all(len(row) == 1 for row in rows):
        return Batch(ids, positions, weights, (owner >= 0).long(), soft=soft)
    if flat and len(rows) == 1:
        lengths = tuple(len(sequence.ids) for sequence in rows[0])
        return Batch(ids, positions, weights, (owner >= 0).long(), lengths, soft)
    return Batch(ids, positions, weights, block_mask(owner), soft=soft)


def block_mask(owner: torch.Tensor) -> torch.Tensor:
    """The boolean mask (R, 1, T, T) of causal attention among places with the same owner (R, T).

    Padding, owned by -1, looks at itself alone, so that no softmax is empty.
    """
    width = owner.shape[1]
    same = owner[:, :, None] == owner[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool, device=owner.device).tril()
    own = torch.eye(width, dtype=torch.bool, device=owner.device)
    allowed = (same & causal & (owner >= 0)[:, :, None]) | own
    return allowed[:, None]


def _fill(ordered: list[TokenizedExample], capacity: int) -> list[TokenizedExample]:
    """Takes from `ordered` (longest first) what fits into one row, at least one sequence."""
    taken = [ordered.pop(0)]
    room = capacity - taken[0].tokens
    at = 0
    while at < len(ordered):
        if ordered[at].tokens <= room:
            room -= ordered[at].tokens
            taken.append(ordered.pop(at))
        else:
            at += 1
    return taken


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
