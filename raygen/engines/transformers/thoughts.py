"""The thought of one answer while it is sampled: where it stands, and when it must end.

Pure: knows token ids, and nothing of models.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from raygen.engines.repetition import repeats_itself

_BEFORE = 2
"""Tokens of white space that may stand before a thought; a tag behind more of them opens none."""


@dataclass(frozen=True, slots=True)
class ThoughtLimit:
    """What opens and closes a thought, in tokens, and how long one may be.

    `is_open`: the prompt ends inside a thought.
    """

    opening: tuple[int, ...]
    closing: tuple[int, ...]
    budget: int
    is_open: bool


@dataclass(slots=True)
class Thought:
    """A thought as far as it is written. `start` and `end` count the answer's tokens.

    `end` is where the answer begins, behind the closing tag; None while it hasn't. `forced` are
    the tokens to write next, whatever the model says.
    """

    limit: ThoughtLimit
    start: int | None = None
    end: int | None = None
    forced: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        if self.limit.is_open:
            self.start = 0

    @property
    def is_inside(self) -> bool:
        """Whether the next token belongs to the thought."""
        return self.start is not None and self.end is None

    def follow(self, tokens: Sequence[int]) -> None:
        """Look at the tokens after one was added; a thought that is too long or repeats is cut."""
        limit = self.limit
        if self.start is None:
            first = len(tokens) <= len(limit.opening) + _BEFORE
            if first and _ends_with(tokens, limit.opening):
                self.start = len(tokens)
        elif self.end is None and not self.forced:
            thought = tokens[self.start :]
            if _ends_with(thought, limit.closing):
                self.end = len(tokens)
            elif len(thought) >= limit.budget or repeats_itself(thought):
                self.cut()

    def cut(self) -> None:
        """End the thought: its closing tag comes next."""
        self.forced = list(self.limit.closing)


def _ends_with(tokens: Sequence[int], tail: Sequence[int]) -> bool:
    return len(tokens) >= len(tail) and tuple(tokens[-len(tail) :]) == tuple(tail)
