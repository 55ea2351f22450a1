"""What a run must have in common with the one that it resumes.

Knows nothing of checkpoints or training.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from streamtrain.config import StudentConfig
from streamtrain.errors import InputError


def order_settings(config: StudentConfig) -> dict[str, Any]:
    """What the order and content of batches hang on: a resume must have the same."""
    whole = config.model_dump(mode="json", include={"model", "revision", "tune", "data", "stream"})
    return {
        **whole,
        "objective": config.objective.model_dump(mode="json"),
        "batch": config.optim.batch,
    }


def check_same_settings(before: Mapping[str, Any], now: Mapping[str, Any]) -> None:
    changed = sorted(key for key in {*before, *now} if before.get(key) != now.get(key))
    if changed:
        raise InputError(
            f"the run to resume had other settings for {', '.join(changed)}; "
            "put them back, or start a new run in another output folder"
        )
