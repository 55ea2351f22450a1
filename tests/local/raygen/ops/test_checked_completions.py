"""Completions read and compared with their gold answers, as the op `check` does it."""

import pytest

from raygen.checks import check
from raygen.ops.common.checking import answer_for, gold_for
from tests.support.answer_pairs import SAID_DIFFERENT, SAID_EQUAL


@pytest.mark.parametrize(("pairs", "correct"), [(SAID_EQUAL, True), (SAID_DIFFERENT, False)])
def test_a_completion_is_right_where_its_answer_is(
    pairs: tuple[tuple[str, str], ...], correct: bool
) -> None:
    wrong = [
        (gold, said)
        for gold, said in pairs
        if check(answer_for("math", said, ()), gold_for("math", gold, ()), "math").correct
        is not correct
    ]
    assert wrong == []
