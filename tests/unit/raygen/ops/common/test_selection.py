"""Which texts are picked: properties that hold for any texts."""

from hypothesis import given
from hypothesis import strategies as st

from raygen.ops.common.selection import Pick, mean_distance, most_diverse, select_samples

TEXTS = st.lists(st.text("abc ", min_size=1, max_size=12), max_size=8)


@given(TEXTS, st.integers(1, 10), st.integers(0, 99))
def test_at_most_that_many_are_picked_once_each(texts: list[str], limit: int, seed: int) -> None:
    for by in ("first", "random", "diverse", "likely"):
        pick = Pick(by=by, at_most=limit)
        picked = select_samples(texts, [-1.0] * len(texts), pick, seed)
        assert len(picked) == min(limit, len(texts))
        assert picked == sorted(set(picked))


@given(TEXTS)
def test_diversity_is_a_share(texts: list[str]) -> None:
    figure = mean_distance(texts)
    assert (figure is None) == (len(texts) < 2)
    assert figure is None or 0 <= figure <= 1


def test_the_most_diverse_are_far_from_each_other() -> None:
    texts = ["a cat sat down", "a cat sat down.", "dogs bark at night", "a cat sat dow"]
    assert most_diverse(texts, 2) == [0, 2]
