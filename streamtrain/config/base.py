"""What the sections of student.yaml have in common.

Knows nothing of what they hold.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0.0)]
Rate = Annotated[float, Field(gt=0.0)]


class ConfigSection(BaseModel):
    """A mapping of the file: unknown keys are refused, nothing changes once read."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuse_keys(section: BaseModel, keys: Iterable[str], why: str) -> None:
    """Raise ValueError that names those of the keys that the section sets."""
    found = [key for key in keys if key in section.model_fields_set]
    if found:
        raise ValueError(f"{', '.join(found)} {why}; remove them")
