"""What was fetched: a recipe's folder in the user's cache, and the pin of exactly this content.

Knows nothing of where it came from.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any


@dataclass(frozen=True, slots=True)
class Fetched:
    """A fetched recipe. `reference` is as the user wrote it, `pinned` names this very content."""

    reference: str
    pinned: str
    pin: str
    """The commit, or the hash of the content where there is none."""
    root: Path
    """The folder in the cache that all of it lies in."""
    file: Path
    """The recipe in it."""

    @property
    def is_alone(self) -> bool:
        """Whether it came without the files that it names: the web has no listing of a folder."""
        return self.reference.startswith(("http://", "https://"))

    def to_json(self) -> dict[str, Any]:
        """What is kept of it beside a dataset."""
        return {"reference": self.reference, "pinned": self.pinned, "pin": self.pin}
