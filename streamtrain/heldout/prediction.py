"""What a student answered to one question.

Knows nothing of models, or whether the answer is right.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Prediction:
    """The chosen option, None where the answer couldn't be read.

    `probabilities` are the options', adding up to 1; `text` is what the student wrote; `votes`
    counts the samples for each option, of which those that couldn't be read are `unread`.
    """

    choice: int | None
    probabilities: tuple[float, ...] | None = None
    text: str | None = None
    votes: tuple[int, ...] | None = None
    unread: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return plain data that `from_json` reads back."""
        return {key: value for key, value in asdict(self).items() if value is not None}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Prediction:
        """Return the prediction that `to_json` wrote."""
        lists = {key: tuple(data[key]) for key in ("probabilities", "votes") if key in data}
        return cls(data.get("choice"), text=data.get("text"), unread=data["unread"], **lists)


def majority_vote(answers: list[int | None], options: int) -> Prediction:
    """Return the majority of samples (self-consistency); None only where no sample could be read.

    Of options with as many votes the one that was named first wins. A sample that couldn't be read
    counts for none and stays in the denominator of the shares.
    """
    read = [answer for answer in answers if answer is not None]
    votes = tuple(read.count(option) for option in range(options))
    choice = max(read, key=read.count) if read else None
    return Prediction(choice, votes=votes, unread=len(answers) - len(read))
