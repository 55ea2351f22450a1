"""Thoughts are told apart from the answer, and never kept silently."""

import pytest

from raygen.engines.reasoning import split_thinking


@pytest.mark.parametrize(
    ("text", "thoughts", "answer"),
    [
        ("<think>\nHm.\n</think>\n\nB", "Hm.", "B"),
        ("Hm, the template opened it.</think>B", "Hm, the template opened it.", "B"),
        ("<think>never ends", "never ends", ""),
        ("<think></think>B", "", "B"),
        ("<reasoning>why</reasoning> B", "why", "B"),
        ("People think > 3 is B", None, "People think > 3 is B"),
    ],
)
def test_thoughts_and_answer(text: str, thoughts: str | None, answer: str) -> None:
    assert split_thinking(text) == (thoughts, answer)
