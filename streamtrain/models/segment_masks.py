"""The borders between several inputs in one row, and between their targets in another.

An encoder looks both ways within an input, a decoder back within a target, and from a target to its
own input alone; positions that are learned start anew in each. Knows nothing of tokens or losses.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch

from streamtrain.data import block_mask
from streamtrain.models.attention import additive


@dataclass(frozen=True, slots=True)
class Borders:
    """The lengths of the inputs in a row, and those of their targets, in the same order."""

    inputs: tuple[int, ...]
    targets: tuple[int, ...]


@contextlib.contextmanager
def within(model: Any, borders: Borders, device: torch.device) -> Iterator[dict[str, torch.Tensor]]:
    """While it lasts, a forward pass that is given what this gives stays within the borders.

    The models of transformers hand one mask to the encoder and to the attention across, and count
    learned positions by themselves; so the encoder and the positions get theirs on the way in.
    """
    asking, asked = _owner(borders.targets, device), _owner(borders.inputs, device)
    encoder, decoder = model.get_encoder(), model.get_decoder()
    mask = additive(_same(asked, asked), model.dtype)
    hooks = [_hand(encoder, attention_mask=mask)]
    for stack, lengths in ((encoder, borders.inputs), (decoder, borders.targets)):
        if hasattr(stack, "embed_positions"):
            hooks.append(_hand(stack.embed_positions, position_ids=_anew(lengths, device)))
    try:
        yield {
            "attention_mask": additive(_same(asking, asked), model.dtype),
            "decoder_attention_mask": additive(block_mask(asking[None]), model.dtype),
        }
    finally:
        for hook in hooks:
            hook.remove()


def _owner(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    """The number of the sequence that each place belongs to."""
    numbers = torch.arange(len(lengths), device=device)
    return numbers.repeat_interleave(torch.tensor(lengths, device=device))


def _same(one: torch.Tensor, other: torch.Tensor) -> torch.Tensor:
    """A boolean mask (1, 1, T, S), true where a place of each belongs to the same sequence."""
    return (one[:, None] == other[None, :])[None, None]


def _anew(lengths: Sequence[int], device: torch.device) -> torch.Tensor:
    return torch.cat([torch.arange(length, device=device) for length in lengths])


def _hand(module: Any, **given: torch.Tensor) -> Any:
    return module.register_forward_pre_hook(partial(_with, given), with_kwargs=True)


def _with(
    given: dict[str, torch.Tensor], _: Any, args: tuple[Any, ...], more: dict[str, Any]
) -> tuple[tuple[Any, ...], dict[str, Any]]:
    return args, {**more, **given}
