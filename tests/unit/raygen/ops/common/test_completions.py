"""Each fault of an answer has its own reason."""

import pytest

from raygen.engines.base import Completion
from raygen.ops.common.completions import completion_reject


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (Completion("  "), "empty"),
        (Completion("", thinking="a lot"), "empty"),
        (Completion("It is", "length"), "truncated"),
        (Completion("", "length", thinking="a lot"), "truncated"),
        (Completion("No.", "refusal"), "refused"),
        (Completion("", "content_filter"), "refused"),
        (Completion("I'm sorry, but I can't assist with that request."), "refused"),
        (Completion("As an AI language model, I cannot provide this."), "refused"),
        (Completion("I'm sorry, but I can't find my keys, said Ann."), None),
        (Completion("Fish live in water."), None),
    ],
)
def test_reasons(answer: Completion, reason: str | None) -> None:
    fault = completion_reject(answer)
    assert (fault.reason if fault else None) == reason


def test_a_cut_off_answer_may_count() -> None:
    assert completion_reject(Completion("It is", "length"), cut_off_counts=False) is None
