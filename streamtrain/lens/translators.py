"""The tuned lens (arXiv 2303.08112): for each layer an affine map that brings its state to where
the last norm and head read it best.

A map is the identity and what is learned on top, zero at first, so that an untrained tuned lens is
the logit lens. Knows nothing of questions, or where passages are from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import torch

from streamtrain.lens.layers import LayerReader, LensInput

_PASSAGES = 4
_PLACES = 16
"""A step learns from so many passages, and so many places of each at most, drawn anew; a lens is
judged at as many, evenly spread, and the last one: the head is dear."""

_MOMENTUM = 0.9
_RATE = 1.0 * (1 - _MOMENTUM)
_DECAY = 1e-3
_CLIP = 1.0
"""As the method's published code has it. Gradients are clipped because the first token's state is
thousands of times as large as others'; an optimizer that scales each entry's step, as Adam, is
thrown off by it."""


@dataclass(frozen=True, slots=True)
class LayerTranslators:
    """`matrix` (layers - 1, width, width) and `bias` (layers - 1, width); the last layer is read as
    it is."""

    matrix: torch.Tensor
    bias: torch.Tensor

    def __call__(self, states: torch.Tensor) -> torch.Tensor:
        """States (layers, places, width), translated."""
        moved = torch.baddbmm(self.bias[:, None], states[:-1], self.matrix)
        return torch.cat([states[:-1] + moved, states[-1:]])


def tune_translators(
    reader: LayerReader, passages: Sequence[LensInput], steps: int, seed: int = 0
) -> LayerTranslators:
    """Return translators whose readings come closest to the student's own ones, by divergence
    (KL), over places of these passages. At least one passage."""
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
        wanted = torch.log_softmax(reader.logits(states[-1]), dim=-1)
        for state, (matrix, bias) in zip(states[:-1], layers, strict=True):
            moved = state + state @ matrix + bias
            _divergence(reader, moved, wanted).mean().backward()
            torch.nn.utils.clip_grad_norm_((matrix, bias), _CLIP)
        optimizer.step()
        optimizer.zero_grad()
        schedule.step()
    matrices, biases = (torch.stack(parts).detach() for parts in zip(*layers, strict=True))
    return LayerTranslators(matrices, biases)


def layer_divergences(
    reader: LayerReader, passages: Sequence[LensInput], translators: LayerTranslators | None
) -> list[float]:
    """Return for each layer the mean divergence (KL, in nats) of its reading from the student's
    own one, over places of some passages."""
    sums: torch.Tensor | float = 0.0
    position_count = 0
    with torch.no_grad():
        for passage in passages:
            states = reader.states(passage)
            states = states[:, spread_positions(states.shape[1])]
            wanted = torch.log_softmax(reader.logits(states[-1]), dim=-1)
            read = states if translators is None else translators(states)
            sums = sums + torch.stack(
                [_divergence(reader, layer_states, wanted).sum() for layer_states in read]
            )
            position_count += len(wanted)
    assert isinstance(sums, torch.Tensor)  # noqa: S101 - there is at least one passage
    return [float(value) / position_count for value in sums]


def spread_positions(count: int) -> list[int]:
    """Return places of a passage of `count`: all of a short one, else evenly spread ones and the
    last."""
    return sorted({*range(0, count, -(-count // _PLACES)), count - 1})


def _divergence(reader: LayerReader, states: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
    """KL(own || read) at each place."""
    read = torch.log_softmax(reader.logits(states), dim=-1)
    return (wanted.exp() * (wanted - read)).sum(dim=-1)


def _batch(
    reader: LayerReader, passages: Sequence[LensInput], draw: torch.Generator
) -> torch.Tensor:
    """Return the states (layers, places, width) at some places of each passage."""
    parts = []
    for passage in passages:
        states = reader.states(passage)
        positions = torch.randperm(states.shape[1], generator=draw)[:_PLACES]
        parts.append(states[:, positions.to(states.device)])
    return torch.cat(parts, dim=1)


def _draws(count: int, steps: int, draw: torch.Generator) -> Iterator[list[int]]:
    """Return the passages of each step; none comes twice before all came once."""
    waiting: list[int] = []
    for _ in range(steps):
        while len(waiting) < _PASSAGES:
            waiting += torch.randperm(count, generator=draw).tolist()
        yield waiting[:_PASSAGES]
        waiting = waiting[_PASSAGES:]
