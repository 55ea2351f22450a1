"""The options of one `raygen apply`, and the interface that shows it to the user.

Knows the command line's words; knows nothing of how an apply goes.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from raygen.core import Interrupts
from raygen.planning import RecipeRequest
from raygen.runtime import Budget, Snapshot
from raygen.trainer import TrainerState


@dataclass(frozen=True, slots=True)
class ApplyRequest:
    """The options of one `raygen apply`, and its recipe.

    `retry`: rows that failed in earlier runs are run again; `locked`: the recipe's lock must hold;
    `calls`: the folders of other datasets whose recorded calls are reused.
    """

    reference: RecipeRequest
    out: str | None = None
    train: Path | None = None
    fresh: bool = False
    address: str | None = None
    retry: bool = False
    budget: Budget = field(default_factory=Budget)
    locked: bool = False
    calls: tuple[str, ...] = ()

    @property
    def words(self) -> list[str]:
        """The request as on the command line, to go on where this one ends."""
        words = self.reference.words
        words += ["--out", self.out] if self.out else []
        words += ["--train", str(self.train)] if self.train else []
        words += ["--address", self.address] if self.address else []
        words += ["--locked"] if self.locked else []
        words += [word for folder in self.calls for word in ("--calls", str(folder))]
        return words + self.budget.words


class ApplyUI(Protocol):
    """The interface to the user of an apply."""

    @property
    def yes(self) -> bool:
        """Whether the user agreed to every question beforehand."""
        return False

    def confirm(self, question: str) -> bool:
        """Ask a yes-or-no question and return the answer."""
        ...

    def update(self, snapshot: Snapshot, trainer: TrainerState | None) -> None:
        """Show a new snapshot; called several times a second."""
        ...

    def note(self, message: str) -> None:
        """Print a line that stays in view."""
        ...


@dataclass(slots=True)
class UserSession:
    """The user's side of a run: where to show it, and whether Ctrl-C was pressed."""

    ui: ApplyUI
    interrupts: Interrupts
    started: float

    @property
    def seconds(self) -> float:
        """The seconds since the apply began."""
        return time.monotonic() - self.started
