"""The attention kernels that a model can use, and what each is told of the borders in a row.

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
    """Whether the model of a configuration uses flash attention."""
    return str(config._attn_implementation).startswith(_FLASH)


def check_attention(auto: Any, config: Any, attention: str) -> None:
    """Raises InputError where the model of a configuration can't use an attention kernel here."""
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
    """What flash attention is told of a flat row of sequences of these lengths."""
    ends = torch.tensor([0, *accumulate(lengths)], dtype=torch.int32, device=device)
    longest = max(lengths)
    return {
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": longest,
        "max_length_k": longest,
    }


def additive_mask(mask: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """A boolean mask as what is added to scores: the one form that eager and sdpa both take."""
    added = torch.zeros(mask.shape, dtype=dtype, device=mask.device)
    return added.masked_fill(~mask, torch.finfo(dtype).min)
