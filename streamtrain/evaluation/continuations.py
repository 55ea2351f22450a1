"""What a student makes of a prompt: log-probabilities of options, or what it writes.

The engines of raygen do both, on the student as it is loaded. Knows nothing of questions, labels or
which answer is right.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from raygen.engines import Sampling
from raygen.engines.transformers import Continuation, Sampler, SampleRequest, score
from streamtrain.models import Student

Tree = tuple[Sequence[int], Sequence[Sequence[int]]]
"""The ids of a prompt, and of each option that may follow it."""

Until = Callable[[str], bool]
"""Whether a text that is still being written already has all that is wanted."""


def tree_scores(student: Student, trees: Sequence[Tree]) -> list[list[float]]:
    """The summed log-probability of each option after its prompt, which is read once for all."""
    texts = [
        Continuation((*prompt, *option), len(prompt))
        for prompt, options in trees
        for option in options
    ]
    with student.precision():
        scores = iter(score(student.plain_model, texts))
    return [[next(scores).logprob for _ in options] for _, options in trees]


def tree_size(prompt: Sequence[int], options: Sequence[Sequence[int]]) -> int:
    """About how many positions a prompt with its options takes."""
    return len(prompt) + sum(len(option) - 1 for option in options)


def write_greedily(
    student: Student, prompts: Sequence[Sequence[int]], longest: int, until: Until | None = None
) -> list[str]:
    """The most likely answer to each prompt, to its own end, `longest` tokens, or `until` it has
    all that is wanted. A decoder's answer begins with the token that it starts from, and so does
    the text that `until` gets."""
    tokenizer = student.tokenizer
    writer = Sampler(student.plain_model, tokenizer, max_len=None)
    start = [student.model.config.decoder_start_token_id] if student.kind == "seq2seq" else []

    def enough(tokens: Sequence[int]) -> bool:
        return until is not None and until(tokenizer.decode([*start, *tokens]))

    sampling = Sampling(temperature=0.0, max_tokens=longest)
    asks = [SampleRequest(tuple(prompt), sampling, 0) for prompt in prompts]
    answers = writer.write_tokens(asks, enough if until else None)
    texts: list[str] = tokenizer.batch_decode(answers, skip_special_tokens=True)
    return texts
