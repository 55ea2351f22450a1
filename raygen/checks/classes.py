"""Sort answers into classes of equal ones, as a vote counts them.

Knows nothing of what makes two equal.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class AnswerClass:
    """Equal answers: their positions, and each way in which they are written."""

    indices: tuple[int, ...]
    members: tuple[str, ...]


async def group_equal(
    answers: Sequence[str | None], equal: Callable[[str, str], Awaitable[bool]]
) -> list[AnswerClass]:
    """Return the classes of equal answers, the largest first, and of two the earlier.

    An answer is compared with the first member of each class; None is in none.
    """
    classes: list[tuple[list[int], list[str]]] = []
    for index, answer in enumerate(answers):
        if answer is None:
            continue
        found = next((each for each in classes if answer in each[1]), None)
        for each in classes if found is None else ():
            if await equal(answer, each[1][0]):
                found = each
                break
        if found is None:
            found = ([], [])
            classes.append(found)
        indices, members = found
        indices.append(index)
        if answer not in members:
            members.append(answer)
    ordered = sorted(classes, key=lambda each: -len(each[0]))
    return [AnswerClass(tuple(indices), tuple(members)) for indices, members in ordered]
