"""The translators of a tuned lens (arXiv 2303.08112): for each layer an affine map of its state to
where the final norm and head read it best.

A map is the identity plus what is learned, zero at first, so that an untuned lens is the logit
lens. Knows nothing of questions, or of where passages come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from streamtrain.lens.layers import LayerReader, LensInput

_PASSAGES = 4
_PLACES = 16
"""Passages per step, and positions of each at most, drawn anew in every step; a lens is tested at
as many positions, evenly spread and with the last one: the head is expensive."""

_MOMENTUM = 0.9
_RATE = 1.0 * (1 - _MOMENTUM)
_DECAY = 1e-3
_CLIP = 1.0
"""As in the method's published code. Gradients are clipped because the first token's state is
thousands of times as large as others'; an optimizer that scales each entry's step, as Adam, is
thrown off by it."""


@dataclass(frozen=True, slots=True)
class LayerTranslators:
    """`matrix` (layers - 1, width, width) and `bias` (layers - 1, width); the last layer is read as
    it is."""

    matrix: torch.Tensor
    bias: torch.Tensor

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """Translate states (layers, positions, width)."""
        moved = torch.baddbmm(self.bias[:, None], states[:-1], self.matrix)
        return torch.cat([states[:-1] + moved, states[-1:]])


def tune_translators(
    reader: LayerReader, passages: Sequence[LensInput], steps: int, seed: int = 0
) -> LayerTranslators:
    """Tune translators to bring every layer's readout closest to the student's output, by KL
    divergence, over positions of these passages. At least one passage; `seed` draws passages and
    positions."""
    draw = torch.Generator().manual_seed(seed)
    inner, _, width = _batch(reader, [passages[0]], draw)[:-1].shape
    device = reader.student.device
    layers = [
        (torch.zeros(width, width, device=device), torch.zeros(width, device=device))
        for _ in range(inner)
    ]
    optimizer = torch.optim.SGD(
        [part.requires_grad_() for parts in layers for part in parts],
        lr=_RATE,
        momentum=_MOMENTUM,
        nesterov=True,
        weight_decay=_DECAY,
    )
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 1 - step / steps)
    for chosen in _draws(len(passages), steps, draw):
        states = _batch(reader, [passages[number] for number in chosen], draw)
        target = torch.log_softmax(reader.logits(states[-1]), dim=-1)
        for state, (matrix, bias) in zip(states[:-1], layers, strict=True):
            moved = state + state @ matrix + bias
            _divergence(reader, moved, target).mean().backward()
            torch.nn.utils.clip_grad_norm_((matrix, bias), _CLIP)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    matrices, biases = (torch.stack(parts).detach() for parts in zip(*layers, strict=True))
    return LayerTranslators(matrices, biases)


def layer_divergences(
    reader: LayerReader, passages: Sequence[LensInput], translators: LayerTranslators | None
) -> list[float]:
    """Compute for each layer the mean KL divergence, in nats, of its readout from the student's
    output, over positions of some passages."""
    sums: torch.Tensor | float = 0.0
    position_count = 0
    with torch.no_grad():
        for passage in passages:
            states = reader.states(passage)
            states = states[:, spread_positions(states.shape[1])]
            target = torch.log_softmax(reader.logits(states[-1]), dim=-1)
            read = states if translators is None else translators(states)
            sums = sums + torch.stack(
                [_divergence(reader, layer_states, target).sum() for layer_states in read]
            )
            position_count += len(target)
    assert isinstance(sums, torch.Tensor)  # noqa: S101 - there is at least one passage
    return [float(value) / position_count for value in sums]


def spread_positions(count: int) -> list[int]:
    """Choose positions of a passage of `count` tokens: all of a short one, else evenly spread ones
    and the last."""
    return sorted({*range(0, count, -(-count // _PLACES)), count - 1})


def _divergence(reader: LayerReader, states: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Compute KL(output || readout) at each position."""
    read = torch.log_softmax(reader.logits(states), dim=-1)
    return (target.exp() * (target - read)).sum(dim=-1)


def _batch(
    reader: LayerReader, passages: Sequence[LensInput], draw: torch.Generator
) -> torch.Tensor:
    """Compute the states (layers, positions, width) at some positions of each passage."""
    parts = []
    for passage in passages:
        states = reader.states(passage)
        positions = torch.randperm(states.shape[1], generator=draw)[:_PLACES]
        parts.append(states[:, positions.to(states.device)])
    return torch.cat(parts, dim=1)


def _draws(count: int, steps: int, draw: torch.Generator) -> Iterator[list[int]]:
    """Yield the passages of each step; none is repeated before all were drawn once."""
    waiting: list[int] = []
    for _ in range(steps):
        while len(waiting) < _PASSAGES:
            waiting += torch.randperm(count, generator=draw).tolist()
        yield waiting[:_PASSAGES]
        waiting = waiting[_PASSAGES:]
