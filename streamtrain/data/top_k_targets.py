"""Top-k token probabilities that a dataset recorded of a teacher: the student's soft targets.

Teacher and student must share a vocabulary, since tokens are identified by id. Knows nothing of
losses or tensors.
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
    """A teacher's top-k token ids and natural log-probabilities at each token of a rationale.

    `tokens` are the T ids of the rationale; `ids` and `logprobs` are (T, k). `row` names the row in
    errors, and `vocabulary` is the fingerprint of the teacher's.
    """

    row: str
    vocabulary: str
    tokens: tuple[int, ...]
    ids: tuple[tuple[int, ...], ...]
    logprobs: tuple[tuple[float, ...], ...]

    def first(self, count: int) -> TopKTargets:
        """Truncate to the first `count` tokens."""
        return replace(
            self, tokens=self.tokens[:count], ids=self.ids[:count], logprobs=self.logprobs[:count]
        )

    def offset_in(self, span: Sequence[int]) -> int:
        """Find the offset of these tokens in a target's span. Raises InputError if they aren't
        there."""
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
    """Read `token_probabilities` from a row.

    Raises InputError if there are none, if `token_probabilities_teacher` is another teacher, or if
    the format isn't that of the op token_probabilities.
    """
    name = f"example {row.get('id', '(without id)')} of the dataset"
    recorded = row.get("token_probabilities")
    if recorded is None:
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
        data = json.loads(recorded) if isinstance(recorded, str) else recorded
        tokens = tuple(map(int, data["tokens"]))
        ids = tuple(tuple(map(int, candidates)) for candidates in data["ids"])
        logprobs = tuple(tuple(map(float, candidates)) for candidates in data["logprobs"])
        vocabulary = str(data["vocabulary"])
    except (ValueError, TypeError, LookupError) as error:
        raise InputError(f"{name}: token_probabilities can't be read: {error}; {_EXPECTED}") from (
            error
        )
    sizes = {len(candidates) for candidates in (*ids, *logprobs)}
    numbers = [logprob for candidates in logprobs for logprob in candidates]
    if not len(tokens) == len(ids) == len(logprobs) > 0 or len(sizes) != 1 or 0 in sizes:
        raise InputError(
            f"{name}: token_probabilities has {len(tokens)} tokens and {len(ids)} and "
            f"{len(logprobs)} places of {sorted(sizes)} tokens; {_EXPECTED}"
        )
    if not all(math.isfinite(logprob) and logprob <= 0 for logprob in numbers):
        raise InputError(f"{name}: token_probabilities has numbers above 0 or none; {_EXPECTED}")
    return TopKTargets(name, vocabulary, tokens, ids, logprobs)


_EXPECTED = (
    "expected {vocabulary, tokens, ids, logprobs} with as many places as tokens, equally many "
    "tokens at each, and natural log-probabilities, as the op token_probabilities writes it"
)
