"""Answers that go on and on: what is read from them is read in a time by their length."""

from raygen.core.limited import Limits, run_limited
from tests.support.limited_work import read_endless_answers


def test_an_answer_that_goes_on_is_read_soon() -> None:
    limits = Limits(cpu_s=8.0, wall_s=250)
    read = run_limited(read_endless_answers, subject="reading answers", limits=limits)
    assert read[::2] == ["ice"] * 7
