"""Pad or pack sequences into tensors with a loss weight on each token.

Four sequences, a (6 tokens), b (5), c (4) and d (3), with a capacity of 10 tokens per micro-batch:

    padded   a a a a a a  |  b b b b b  |  d d d
                          |  c c c c _  |              similar lengths share a micro-batch
    packed   a a a a a a c c c c  |  b b b b b d d d   one row each, the longest that fits next

    the second packed row:  ids         b b b b b d d d
                            positions   0 1 2 3 4 0 1 2     start anew in each sequence
                            mask of b   1 . . . . . . .     block-diagonal and causal: a token
                                    b   1 1 . . . . . .     attends to itself and to those before
                                        ...                 it in its own sequence (flash attention
                                    d   . . . . . 1 . .     has no mask and gets the lengths 5, 3)
                                    d   . . . . . 1 1 .

Padding has weight 0 and attends to itself alone. Knows nothing of tokenizers, models, losses
or ranks.
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
    """Top-k targets of a batch as tensors.

    `numbers` (R, T) is the index of each position into the other two, -1 where there is no target;
    `ids` and `logprobs` (n, k) are the teacher's most probable tokens and their log-probabilities.
    """

    numbers: torch.Tensor
    ids: torch.Tensor
    logprobs: torch.Tensor

    def to(self, device: torch.device) -> SoftTargets:
        """Move to a device."""
        return SoftTargets(self.numbers.to(device), self.ids.to(device), self.logprobs.to(device))


@dataclass(frozen=True, slots=True)
class Batch:
    """The tensors of one forward pass over R rows of T positions.

    `ids`, `positions` and `weights` are (R, T). `mask` is (R, T), 1 where a token is; for packed
    rows it is a boolean (R, 1, T, T), true where a position may attend. A flat packed row, for
    flash attention, has `lengths`, those of its sequences, instead of the second kind of mask.
    """

    ids: torch.Tensor
    positions: torch.Tensor
    weights: torch.Tensor
    mask: torch.Tensor
    lengths: tuple[int, ...] = ()
    soft: SoftTargets | None = None

    def to(self, device: torch.device) -> Batch:
        """Move to a device."""
        parts = (self.ids, self.positions, self.weights, self.mask)
        ids, positions, weights, mask = (part.to(device) for part in parts)
        soft = self.soft and self.soft.to(device)
        return Batch(ids, positions, weights, mask, self.lengths, soft)


def group_by_length(lengths: Sequence[int], capacity: int) -> Iterator[list[int]]:
    """Yield groups of indices of similar lengths, the longest first, whose padded size is about
    `capacity` tokens."""
    left = sorted(range(len(lengths)), key=lengths.__getitem__, reverse=True)
    while left:
        count = max(1, capacity // lengths[left[0]])
        yield left[:count]
        left = left[count:]


def split_micro_batches(
    sequences: Sequence[TokenizedExample], capacity: int, pack: bool
) -> Iterator[list[list[TokenizedExample]]]:
    """Yield micro-batches of rows, each row a list of sequences, of about `capacity` tokens at
    most, encoder inputs included.

    Without `pack`, sequences of similar length share a micro-batch, so that little is padded; with
    it, a micro-batch is one row and nothing is padded. A sequence longer than `capacity` gets a
    micro-batch of its own.
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
    """Collate rows of one or more sequences into tensors, padded on the right with the id `pad`.

    With `flat`, a single packed row gets `lengths` instead of a 4-dimensional mask.
    """
    width = max(sum(len(sequence.ids) for sequence in row) for row in rows)
    ids = torch.full((len(rows), width), pad)
    weights = torch.zeros(len(rows), width)
    positions = torch.zeros(len(rows), width, dtype=torch.long)
    owner = torch.full((len(rows), width), -1)
    top_k = []
    for at, row in enumerate(rows):
        start = 0
        for number, sequence in enumerate(row):
            end = start + len(sequence.ids)
            ids[at, start:end] = torch.tensor(sequence.ids)
            weights[at, start:end] = torch.tensor(sequence.weights)
            positions[at, start:end] = torch.arange(end - start)
            owner[at, start:end] = number
            if sequence.top_k is not None:
                top_k.append((at, start + sequence.soft_start, sequence.top_k))
            start = end
    soft = make_soft_targets(top_k, len(rows), width)
    if all(len(row) == 1 for row in rows):
        return Batch(ids, positions, weights, (owner >= 0).long(), soft=soft)
    if flat and len(rows) == 1:
        lengths = tuple(len(sequence.ids) for sequence in rows[0])
        return Batch(ids, positions, weights, (owner >= 0).long(), lengths, soft)
    return Batch(ids, positions, weights, block_mask(owner), soft=soft)


def block_mask(owner: torch.Tensor) -> torch.Tensor:
    """Build the boolean mask (R, 1, T, T) of causal attention among positions with the same owner.

    `owner` (R, T) numbers the sequences of a row. Padding, owned by -1, attends to itself, so that
    no softmax is over nothing.
    """
    width = owner.shape[1]
    same = owner[:, :, None] == owner[:, None, :]
    causal = torch.ones(width, width, dtype=torch.bool, device=owner.device).tril()
    itself = torch.eye(width, dtype=torch.bool, device=owner.device)
    allowed = (same & causal & (owner >= 0)[:, :, None]) | itself
    return allowed[:, None]


def _fill(ordered: list[TokenizedExample], capacity: int) -> list[TokenizedExample]:
    """Pop from `ordered` (longest first) what fits into one row of `capacity` tokens, at least one
    sequence."""
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
    top_k: Sequence[tuple[int, int, TopKTargets]], rows: int, width: int
) -> SoftTargets | None:
    """Collate top-k targets, each with the (row, position) at which it begins; None if there are
    none.

    Raises InputError if they differ in k.
    """
    if not top_k:
        return None
    sizes = {len(targets.ids[0]): targets.row for _, _, targets in top_k}
    if len(sizes) > 1:
        by_row = " and ".join(f"{size} ({row})" for size, row in sorted(sizes.items()))
        raise InputError(
            f"token_probabilities has different numbers of tokens at a place: {by_row}; make them "
            "with one `top`, since a loss over fewer tokens is another loss"
        )
    numbers = torch.full((rows, width), -1)
    count = 0
    for row, position, targets in top_k:
        size = len(targets.tokens)
        numbers[row, position : position + size] = torch.arange(count, count + size)
        count += size
    ids = torch.tensor([position for _, _, targets in top_k for position in targets.ids])
    return SoftTargets(
        numbers,
        ids,
        torch.tensor([position for _, _, targets in top_k for position in targets.logprobs]),
    )
