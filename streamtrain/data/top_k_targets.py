"""What a dataset recorded of a teacher's token probabilities: the student's target, place by place.

Knows nothing of losses or tensors. The teacher and the student must read the same vocabulary, since
both tell tokens by their numbers.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streamtrain.errors import InputError


@dataclass(frozen=True, slots=True)
class TopKTargets:
    """The teacher's most probable tokens at each token of a rationale, and their natural
    log-probabilities; `row` names it in an error."""

    row: str
    vocabulary: str
    tokens: tuple[int, ...]
    ids: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]

    def first(self, count: int) -> TopKTargets:
        """The same for the first tokens alone."""
        return replace(
            self, tokens=self.tokens[:count], ids=self.ids[:count], logprobs=self.logprobs[:count]
        )

    def place_in(self, span: Sequence[int]) -> int:
        """Where the tokens stand in the span of a target. Raises InputError where they don't."""
        size = len(self.tokens)
        for at in range(len(span) - size + 1):
            if tuple(span[at : at + size]) == self.tokens:
                return at
        raise InputError(
            f"{self.row}: the teacher read the rationale as other tokens than the student writes, "
            f"{list(self.tokens[:6])}... and {list(span[:6])}...; give the op token_probabilities "
            "the rationale that is trained on, with chat: true where data.chat is, and leave "
            "data.target's rationale behind a space"
        )


def read_top_k_targets(row: Mapping[str, Any], teacher: str) -> TopKTargets:
    """What a row recorded of its `token_probabilities_teacher`.

    Raises InputError where there is nothing, another teacher, or something else than the op
    token_probabilities writes.
    """
    name = f"example {row.get('id', '(without id)')} of the dataset"
    told = row.get("token_probabilities")
    if told is None:
        raise InputError(
            f"{name} has no token_probabilities; add the op token_probabilities to the recipe, or "
            "leave such rows out by data.views or data.nodes"
        )
    if row.get("token_probabilities_teacher") != teacher:
        raise InputError(
            f"{name}: its token probabilities are those of "
            f"{row.get('token_probabilities_teacher')!r}; objective.teacher names {teacher!r}"
        )
    try:
        found = json.loads(told) if isinstance(told, str) else told
        tokens = tuple(map(int, found["tokens"]))
        ids = tuple(tuple(map(int, place)) for place in found["ids"])
        logprobs = tuple(tuple(map(float, place)) for place in found["logprobs"])
        vocabulary = str(found["vocabulary"])
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"{name}: token_probabilities can't be read: {error}; {_EXPECTED}") from (
            error
        )
    sizes = {len(place) for place in (*ids, *logprobs)}
    numbers = [logprob for place in logprobs for logprob in place]
    if not len(tokens) == len(ids) == len(logprobs) > 0 or len(sizes) != 1 or 0 in sizes:
        raise InputError(
            f"{name}: token_probabilities has {len(tokens)} tokens and {len(ids)} and "
            f"{len(logprobs)} places of {sorted(sizes)} tokens; {_EXPECTED}"
        )
    if not all(math.isfinite(one) and one <= 0 for one in numbers):
        raise InputError(f"{name}: token_probabilities has numbers above 0 or none; {_EXPECTED}")
    return TopKTargets(name, vocabulary, tokens, ids, logprobs)


_EXPECTED = (
    "expected {vocabulary, tokens, ids, logprobs} with as many places as tokens, equally many "
    "tokens at each, and natural log-probabilities, as the op token_probabilities writes it"
)
