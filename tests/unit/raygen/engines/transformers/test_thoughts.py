"""The thought of an answer, token by token."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from raygen.engines.transformers.thoughts import Thought, ThoughtLimit

OPEN, CLOSE = (1,), (2, 3)


def written(thought: Thought, model: Iterator[int], count: int) -> list[int]:
    """What stands there after so many tokens, those that are forced before the model's own."""
    tokens: list[int] = []
    for _ in range(count):
        tokens.append(thought.forced.pop(0) if thought.forced else next(model))
        thought.follow(tokens)
    return tokens


def test_a_thought_that_closes_by_itself_is_left_alone() -> None:
    thought = Thought(ThoughtLimit(OPEN, CLOSE, 10, is_open=False))
    assert written(thought, iter([1, 7, 8, 2, 3, 9]), 6) == [1, 7, 8, 2, 3, 9]
    assert (thought.start, thought.end) == (1, 5)


@pytest.mark.parametrize("is_open", [True, False])
def test_a_thought_is_cut_at_its_budget_and_closed(is_open: bool) -> None:
    thought = Thought(ThoughtLimit(OPEN, CLOSE, 3, is_open=is_open))
    model = iter([*(() if is_open else OPEN), *range(10, 30)])
    tokens = written(thought, model, 8)
    assert tokens == [10, 11, 12, 2, 3, 13, 14, 15] if is_open else [1, 10, 11, 12, 2, 3, 13, 14]
    assert thought.end == (5 if is_open else 6)
    assert not thought.is_inside


def test_a_thought_that_repeats_without_end_is_cut_before_its_budget() -> None:
    thought = Thought(ThoughtLimit(OPEN, CLOSE, 1000, is_open=True))
    tokens = written(thought, iter([5] * 100), 20)
    assert tokens == [*[5] * 16, 2, 3, 5, 5]


def test_a_tag_in_the_middle_of_an_answer_opens_nothing() -> None:
    thought = Thought(ThoughtLimit(OPEN, CLOSE, 3, is_open=False))
    written(thought, iter([7, 8, 9, 9, 1, 7]), 6)
    assert thought.start is None
