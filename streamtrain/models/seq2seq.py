"""An encoder-decoder student: its forward pass, and the scores of options after an input.

The input goes to the encoder, the target to the decoder. Knows nothing of questions or losses.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from streamtrain.models.student import Student

Branch = tuple[Sequence[int], Sequence[int], Sequence[Sequence[int]]]
"""Token ids of an input, of the beginning of the target, and of each option that may follow."""


@dataclass(frozen=True, slots=True)
class Seq2SeqBatch:
    """R inputs with padded targets (R, T): decoder inputs `before`, shifted by one position, and
    `labels`, -100 where there is nothing to predict."""

    inputs: torch.Tensor
    mask: torch.Tensor
    before: torch.Tensor
    labels: torch.Tensor


def pad_targets(
    student: Student, inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Seq2SeqBatch:
    """Pad inputs and targets into tensors on the student's device."""
    ids, mask = pad_inputs(student, inputs)
    labels = [torch.tensor(target) for target in targets]
    return Seq2SeqBatch(
        ids,
        mask,
        _filled(_behind(student, labels), student.pad).to(student.device),
        _filled(labels, -100).to(student.device),
    )


def _behind(student: Student, targets: Sequence[torch.Tensor]) -> list[torch.Tensor]:
    start = torch.tensor([student.model.config.decoder_start_token_id])
    return [torch.cat([start, target[:-1]]) for target in targets]


def pad_inputs(
    student: Student, inputs: Sequence[Sequence[int]]
) -> tuple[torch.Tensor, torch.Tensor]:
    """Pad inputs for the encoder; returns ids and mask."""
    rows = [torch.tensor(ids_of_input) for ids_of_input in inputs]
    ids, mask = _filled(rows, student.pad), _filled([torch.ones_like(row) for row in rows], 0)
    return ids.to(student.device), mask.to(student.device)


def target_logits(student: Student, batch: Seq2SeqBatch) -> torch.Tensor:
    """Compute the logits (R, T, vocabulary) of every position of the targets."""
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
    """Sum the log-probabilities of each option's tokens, after its input and the target's
    beginning."""
    inputs = [input_ids for input_ids, _, options in branches for _ in options]
    targets = [[*begun, *option] for _, begun, options in branches for option in options]
    batch = pad_targets(student, inputs, targets)
    logs = torch.log_softmax(target_logits(student, batch).float(), dim=-1)
    label_logprobs = logs.gather(-1, batch.labels.clamp(min=0)[..., None])[..., 0]
    scores = iter(label_logprobs.masked_fill(batch.labels < 0, 0.0))
    return [
        [float(next(scores)[len(begun) : len(begun) + len(option)].sum()) for option in options]
        for _, begun, options in branches
    ]


def branch_size(input_ids: Sequence[int], begun: Sequence[int], options: Sequence[Any]) -> int:
    """Estimate how many tokens a branch takes."""
    return sum(len(input_ids) + len(begun) + len(option) for option in options)


def _filled(rows: Sequence[torch.Tensor], value: int) -> torch.Tensor:
    return pad_sequence(list(rows), batch_first=True, padding_value=value)
