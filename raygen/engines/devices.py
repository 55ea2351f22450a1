"""The GPUs that the engines of this process get, among those that CUDA_VISIBLE_DEVICES leaves it.

Knows nothing of Ray, which hands out devices by itself, or of how a backend takes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from raygen.engines.base import EngineSetupError, EngineSpec

_VISIBLE = "CUDA_VISIBLE_DEVICES"


def visible_gpus() -> tuple[str, ...] | None:
    """Return the GPUs that this process may use, by CUDA's names; None for all of the machine's."""
    named = os.environ.get(_VISIBLE)
    if named is None:
        return None
    names = [name.strip() for name in named.split(",")]
    # CUDA reads the list up to the first that is none: "-1" hides all.
    end = next((n for n, name in enumerate(names) if not name or name.startswith("-")), len(names))
    return tuple(names[:end])


def assign_gpus(specs: Iterable[EngineSpec]) -> list[tuple[EngineSpec, tuple[str, ...]]]:
    """Give each engine GPUs of its own among the visible ones.

    Raises EngineSetupError if there are too few.
    """
    specs = list(specs)
    needed, visible = sum(spec.gpus for spec in specs), visible_gpus()
    if visible is None:
        visible = tuple(map(str, range(needed)))
    if needed > len(visible):
        raise EngineSetupError(
            f"the engines need {needed} GPUs, and {_VISIBLE}={os.environ.get(_VISIBLE)} leaves "
            f"{len(visible)}; give this process more of them, or set gpus: lower in a profile"
        )
    assigned, first = [], 0
    for spec in specs:
        assigned.append((spec, visible[first : first + spec.gpus]))
        first += spec.gpus
    return assigned
