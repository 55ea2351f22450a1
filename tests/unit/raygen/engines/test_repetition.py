"""Endless repetition is known by its tail."""

from __future__ import annotations

import pytest

from raygen.engines.repetition import repeats_itself


@pytest.mark.parametrize(
    ("tokens", "repeats"),
    [
        ([1, 2, 3] * 16, True),
        ([9, 8, *[5] * 16], True),
        ([*[5] * 16, 6], False),
        ([1, 2, 3] * 15, False),
        (list(range(64)) * 16, True),
        (list(range(65)) * 16, False),
        ([], False),
    ],
)
def test_what_repeats(tokens: list[int], repeats: bool) -> None:
    assert repeats_itself(tokens) is repeats
