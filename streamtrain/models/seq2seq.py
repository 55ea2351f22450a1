"""A student with an encoder and a decoder: its forward pass, and what it makes of an input.

The input goes to the encoder, the target to the decoder. Knows nothing of questions, labels or
losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from streamtrain.models.segment_masks import Borders, within
from streamtrain.models.student import Student

Branch = tuple[Sequence[int], Sequence[int], Sequence[Sequence[int]]]
"""The ids of an input, of what the target begins with, and of each option that may follow."""


@dataclass(frozen=True, slots=True)
class Targets:
    """Padded targets (R, T) of R inputs: what the decoder reads, one place behind, and what it is
    to predict; -100 where there is nothing to predict.

    Where all inputs stand in one row, and all targets in another, `borders` are between them.
    """

    inputs: torch.Tensor
    mask: torch.Tensor
    before: torch.Tensor
    wanted: torch.Tensor
    borders: Borders | None = None


def pad_targets(
    student: Student, inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Targets:
    """Inputs and targets as tensors on the student's device."""
    ids, mask = pad_inputs(student, inputs)
    wanted = [torch.tensor(target) for target in targets]
    return Targets(
        ids,
        mask,
        _filled(_behind(student, wanted), student.pad).to(student.device),
        _filled(wanted, -100).to(student.device),
    )


def pack_targets(
    student: Student, inputs: Sequence[Sequence[int]], targets: Sequence[Sequence[int]]
) -> Targets:
    """Inputs in one row and targets in one row, on the student's device; nothing is padded."""
    borders = Borders(tuple(map(len, inputs)), tuple(map(len, targets)))
    wanted = [torch.tensor(target) for target in targets]
    ids = torch.cat([torch.tensor(one) for one in inputs])[None].to(student.device)
    before = torch.cat(_behind(student, wanted))[None].to(student.device)
    return Targets(
        ids, torch.ones_like(ids), before, torch.cat(wanted)[None].to(student.device), borders
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


def target_logits(student: Student, batch: Targets) -> torch.Tensor:
    """Logits (R, T, vocabulary) of every place of the targets."""
    masks: contextlib.AbstractContextManager[dict[str, torch.Tensor]]
    masks = contextlib.nullcontext({"attention_mask": batch.mask})
    if batch.borders is not None:
        masks = within(student.model, batch.borders, student.device)
    with student.precision(), masks as given:
        output = student.model(
            input_ids=batch.inputs, decoder_input_ids=batch.before, use_cache=False, **given
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
