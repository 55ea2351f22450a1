"""A batch in halves where it doesn't fit into the memory.

Knows nothing of what is run.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import torch

from raygen.engines.base import RequestRefusedError

I = TypeVar("I")  # noqa: E741 - an item
O = TypeVar("O")  # noqa: E741 - its outcome


def split_on_out_of_memory(
    run: Callable[[Sequence[I]], Sequence[O | Exception]],
) -> Callable[[Sequence[I]], Sequence[O | Exception]]:
    """`run` in halves where a batch doesn't fit; an item that doesn't fit alone is refused."""

    def halved(items: Sequence[I]) -> Sequence[O | Exception]:
        try:
            return run(items)
        except torch.OutOfMemoryError as error:
            if len(items) == 1:
                return [RequestRefusedError("prompt_too_long", f"out of memory: {error}")]
        half = len(items) // 2
        return [*halved(items[:half]), *halved(items[half:])]

    return halved
