"""What a checker says of an answer, and the names of the checkers.

Knows nothing of how any of them decides.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

How = Literal["option", "math", "number", "exact", "regex", "json_schema", "code", "model"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether an answer is right, by which checker, why, and the seconds that it took."""

    correct: bool
    how: How
    reason: str
    seconds: float = 0.0
