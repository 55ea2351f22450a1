"""A student's answer to one question.

Knows nothing of models, or of whether the answer is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """The index of the chosen option, None if the answer couldn't be parsed.

    `probabilities` are those of the options and add up to 1; `text` is what the student generated;
    `votes` counts the samples for each option, and `unread` those that couldn't be parsed.
    """

    choice: int | None
    probabilities: tuple[float, ...] | None = None
    text: str | None = None
    votes: tuple[int, ...] | None = None
    unread: int = 0

    def to_json(self) -> dict[str, Any]:
        """Convert to plain data that `from_json` reads back."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prediction:
        """Restore the prediction that `to_json` wrote."""
        lists = {key: tuple(data[key]) for key in ("probabilities", "votes") if key in data}
        return cls(data.get("choice"), text=data.get("text"), unread=data["unread"], **lists)


def majority_vote(answers: list[int | None], options: int) -> Prediction:
    """Take the majority of samples (self-consistency); the choice is None only if no sample could
    be parsed.

    Ties go to the option that was sampled first. `answers` are indices of options, None for a
    sample that couldn't be parsed: it counts for no option but stays in the denominator of the
    shares.
    """
    read = [answer for answer in answers if answer is not None]
    votes = tuple(read.count(option) for option in range(options))
    choice = max(read, key=read.count) if read else None
    return Prediction(choice, votes=votes, unread=len(answers) - len(read))
