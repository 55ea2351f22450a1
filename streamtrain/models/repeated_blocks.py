"""The repeated blocks of a model: its layers, which are compiled and sharded one by one.

Knows nothing of what is done to them.
"""

from __future__ import annotations

from typing import Any

import torch


def repeated_blocks(model: torch.nn.Module) -> list[Any]:
    """The elements of the outermost lists of modules, in order: with an encoder and a decoder, the
    layers of both."""
    if isinstance(model, torch.nn.ModuleList):
        return list(model)
    return [block for child in model.children() for block in repeated_blocks(child)]
