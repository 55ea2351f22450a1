"""Free answers compared with math-verify behind the cheap readings, in its own process."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from raygen.checks import algebra, check
from raygen.checks.algebra import AlgebraError, same_expression
from raygen.core.answers import read_free_answer
from raygen.core.limited import Limits
from tests.support.answer_pairs import DIFFERENT, EQUAL

CASES = Path(__file__).parents[4].parent / "shared" / "cases" / "math_pairs.jsonl"


@pytest.mark.parametrize(("pairs", "equal"), [(EQUAL, True), (DIFFERENT, False)])
def test_every_pair_is_compared_right_from_both_sides(
    pairs: tuple[tuple[str, str], ...], equal: bool
) -> None:
    both = [*pairs, *(pair[::-1] for pair in pairs)]
    assert [pair for pair in both if check(*pair, "math").correct is not equal] == []


@pytest.mark.skipif(not CASES.exists(), reason=f"{CASES} is not on this machine")
def test_no_pair_of_the_shared_cases_is_equal_that_isnt() -> None:
    pairs = [json.loads(line) for line in CASES.read_text("utf-8").splitlines()]
    wrong = [
        pair["id"]
        for pair in pairs
        if check(read_free_answer(pair["model"]).text, pair["gold"], "math").correct
        is not pair["equal"]
    ]
    assert wrong == []


@pytest.fixture
def little_time() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(algebra, "_LIMITS", Limits(cpu_s=2.0, wall_s=250))
        yield


@pytest.mark.usefixtures("little_time")
def test_an_expression_without_end_is_not_equal_and_the_next_is_compared() -> None:
    endless = r"\binom{10^{9}}{5\cdot10^{8}}"
    with pytest.raises(AlgebraError, match=r"cpu|memory"):
        same_expression(endless, "1")
    verdict = check(endless, "2", "math")
    assert not verdict.correct
    assert "take too much" in verdict.reason
    assert check(r"2\sqrt{3}", r"\sqrt{12}", "math").correct
