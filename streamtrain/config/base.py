"""Base class and number types of the sections of student.yaml.

Knows nothing of what a section holds.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from raygen.core import without_secret

Address = Annotated[str, AfterValidator(without_secret)]
"""A path or a URL, which is written where others read it."""
Positive = Annotated[int, Field(ge=1)]
Weight = Annotated[float, Field(ge=0.0)]
Rate = Annotated[float, Field(gt=0.0)]


class ConfigSection(BaseModel):
    """A mapping of the file: immutable, and unknown keys are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


def refuse_keys(section: BaseModel, keys: Iterable[str], why: str) -> None:
    """Raise ValueError that names those of `keys` that the section sets, and `why` they must go."""
    extra = [key for key in keys if key in section.model_fields_set]
    if extra:
        raise ValueError(f"{', '.join(extra)} {why}; remove them")
