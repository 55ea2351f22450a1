"""Repeats: exact up to case and space, near by shared pieces, and nothing missed by the filter."""

import random
from itertools import pairwise

import pytest

from raygen.core.near_duplicates import find_repeats, shingles, similarity

FISH = "Fish live in water because they breathe with gills."


def test_exact_repeats_name_the_first() -> None:
    assert find_repeats(["a b", "c", "A  B\n", "a b", "c"]) == [None, None, 0, 0, 1]


def test_near_repeats_need_a_threshold() -> None:
    texts = [FISH, "Birds can fly.", FISH.replace("breathe", "breath"), FISH.upper()]
    assert find_repeats(texts) == [None, None, None, 0]
    assert find_repeats(texts, near=0.8) == [None, None, 0, 0]
    assert find_repeats(texts, near=1.0) == [None, None, None, 0]


def test_a_repeat_of_a_repeat_names_the_one_that_was_kept() -> None:
    texts = [FISH, FISH.replace("breathe", "breath"), FISH.replace("breathe", "breath").lower()]
    assert find_repeats(texts, near=0.8) == [None, 0, 0]


def test_what_is_only_near_a_dropped_text_stays() -> None:
    chain = ["abcdefghijklmnopqrst"[k : k + 14] for k in (0, 2, 4)]
    near = min(similarity(shingles(a), shingles(b)) for a, b in pairwise(chain))
    assert similarity(shingles(chain[0]), shingles(chain[2])) < near
    assert find_repeats(chain, near) == [None, 0, None]


@pytest.mark.parametrize("near", [0.3, 0.5, 0.8, 1.0])
def test_the_filter_misses_nothing(near: float) -> None:
    draw = random.Random(0)
    texts = ["".join(draw.choices("ab ", k=draw.randrange(14))) for _ in range(300)]
    plain = [" ".join(text.split()) for text in texts]
    distinct: list[int] = []
    slow: list[int | None] = []
    for index, text in enumerate(plain):
        pieces = shingles(text)
        same = [k for k in distinct if plain[k] == text]
        close = [k for k in distinct if similarity(pieces, shingles(plain[k])) >= near]
        slow.append(next(iter(same or close), None))
        if slow[-1] is None:
            distinct.append(index)
    fast = find_repeats(texts, near)
    assert [f is None for f in fast] == [s is None for s in slow]
    assert all(f is None or (f in distinct and f < index) for index, f in enumerate(fast))


def test_texts_without_letters() -> None:
    assert find_repeats(["", " ", "x"], near=0.9) == [None, 0, None]
