"""Attention kernels, and how each learns where sequences end in a packed row.

sdpa and eager take a 4-dimensional mask. Flash attention takes none: a packed row goes in flat,
with the cumulative lengths of its sequences. Flash attention needs a GPU and was not run; what
reaches its kernels is tested with plain ones in their place.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch

from raygen.core import first_line
from streamtrain.errors import InputError

_FLASH = "flash"
_LOCAL = ("gpt_neo",)
"""Model types whose flash attention forgets the local windows of some layers."""


def is_flash(config: Any) -> bool:
    """Tell whether a model with this configuration uses flash attention."""
    return str(config._attn_implementation).startswith(_FLASH)


def check_attention(auto: Any, config: Any, attention: str) -> None:
    """Raise InputError if a model can't use an attention kernel here.

    `auto` is the auto class of transformers, `config` the configuration of the model.
    """
    if attention.startswith(_FLASH) and config.model_type in _LOCAL:
        raise InputError(
            f"attention: {attention} of {config.model_type} models ignores the local windows of "
            "their layers; use eager"
        )
    try:
        with torch.device("meta"):
            auto.from_config(config, attn_implementation=attention)
    except (ValueError, ImportError) as error:
        first = first_line(error)
        raise InputError(
            f"attention: {attention} can't be used for a {config.model_type} model here: {first}; "
            "leave attention out to take what the model has"
        ) from error


def flash_varlen_arguments(lengths: Sequence[int], device: torch.device) -> dict[str, Any]:
    """Build the arguments of flash attention for a flat row of sequences of these lengths."""
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
    longest = max(lengths)
    return {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def additive_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Convert a boolean mask to one that is added to scores, the form that eager and sdpa both
    take."""
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return added.masked_fill(~mask, torch.finfo(dtype).min)
