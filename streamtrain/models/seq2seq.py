"""A student with an encoder and a decoder: its forward pass, and what it makes of an input.

The input goes to the encoder, the target to the decoder. Knows nothing of questions, labels or
losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from streamtrain.models.student import Student

Branch = tuple[Sequence[int], Sequence[int], Sequence[Sequence[int]]]
"""The ids of an input, of what the target begins with, and of each option that may follow."""


@dataclass(frozen=True, slots=True)
class Seq2SeqBatch:
    """Padded targets (R, T) of R inputs: what the decoder reads, one position behind, and what it
    is to predict; -100 where there is nothing to predict."""

    inputs: torch.Tensor
    mask: torch.Tensor
    before: torch.Tensor
    wanted: torch.Tensor


def pad_targets(
    student: Student, inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Seq2SeqBatch:
    """Inputs and targets as tensors on the student's device."""
    ids, mask = pad_inputs(student, inputs)
    wanted = [torch.tensor(target) for target in targets]
    return Seq2SeqBatch(
        ids,
        mask,
        _filled(_behind(student, wanted), student.pad).to(student.device),
        _filled(wanted, -100).to(student.device),
    )


def _behind(student: Student, targets: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    start = torch.tensor([student.model.config.decoder_start_token_id])
    return [torch.cat([start, target[:-1]]) for target in targets]


def pad_inputs(
    student: Student, inputs: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Ids and mask of inputs for the encoder."""
    rows = [torch.tensor(one) for one in inputs]
    ids, mask = _filled(rows, student.pad), _filled([torch.ones_like(row) for row in rows], 0)
    return ids.to(student.device), mask.to(student.device)


def target_logits(student: Student, batch: Seq2SeqBatch) -> torch.Tensor:
    """Logits (R, T, vocabulary) of every position of the targets."""
    with student.precision():
        output = student.model(
            input_ids=batch.inputs,
            attention_mask=batch.mask,
            decoder_input_ids=batch.before,
            use_cache=False,
        )
    logits: torch.Tensor = output.logits
    return logits


def branch_scores(student: Student, branches: Sequence[Branch]) -> list[list[float]]:
    """The summed log-probability of each option after its input and its target's beginning."""
    inputs = [given for given, _, options in branches for _ in options]
    targets = [[*begun, *option] for _, begun, options in branches for option in options]
    batch = pad_targets(student, inputs, targets)
    logs = torch.log_softmax(target_logits(student, batch).float(), dim=-1)
    told = logs.gather(-1, batch.wanted.clamp(min=0)[..., None])[..., 0]
    scores = iter(told.masked_fill(batch.wanted < 0, 0.0))
    return [
        [float(next(scores)[len(begun) : len(begun) + len(option)].sum()) for option in options]
        for _, begun, options in branches
    ]


def branch_size(given: Sequence[int], begun: Sequence[int], options: Sequence[Any]) -> int:
    """About how many places a branch takes."""
    return sum(len(given) + len(begun) + len(option) for option in options)


def _filled(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=value)
