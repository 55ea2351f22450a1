"""The interval of a share, against Wilson's formula by hand; softmax."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.stats import softmax, wilson


def test_the_interval_is_wilsons() -> None:
    assert wilson(12, 48) == pytest.approx((0.1492, 0.3878), abs=1e-4)
    assert wilson(0, 10)[0] == pytest.approx(0.0, abs=1e-12)
    assert wilson(10, 10)[1] == pytest.approx(1.0, abs=1e-12)
    assert wilson(0, 0) == (0.0, 1.0)


@given(st.integers(1, 10_000), st.data())
def test_it_holds_the_share(total: int, data: st.DataObject) -> None:
    correct = data.draw(st.integers(0, total))
    low, high = wilson(correct, total)
    assert 0 <= low <= correct / total <= high <= 1


@given(st.lists(st.floats(-1e4, 1e4), min_size=1, max_size=9))
def test_softmax_adds_up_to_one_and_keeps_the_order(scores: list[float]) -> None:
    chances = softmax(scores)
    assert sum(chances) == pytest.approx(1.0)
    assert chances[scores.index(max(scores))] == max(chances), "a tie may come of rounding"


def test_softmax_is_the_share_of_the_exponential() -> None:
    assert softmax([0.0, math.log(3.0)]) == pytest.approx((0.25, 0.75))
