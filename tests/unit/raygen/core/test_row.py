"""Keys, ids and seeds: derived, distinct, and the same everywhere."""

from hypothesis import given
from hypothesis import strategies as st

from raygen.core.row import Row, derive_seed, row_key

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)


def test_the_key_of_a_known_row_never_changes() -> None:
    assert row_key({"question": "Why?", "answer": 1}) == "e30ff51757c51edcf22c882b2b7c8163"


@given(st.dictionaries(st.text(), JSON, max_size=4), st.integers(0, 5))
def test_keys_ignore_the_order_of_columns_and_tell_duplicates_apart(
    data: dict[str, object], occurrence: int
) -> None:
    backwards = dict(reversed(list(data.items())))
    assert row_key(data, occurrence) == row_key(backwards, occurrence)
    assert row_key(data, occurrence) != row_key(data, occurrence + 1)


def test_a_child_has_its_own_id_and_its_parents_columns() -> None:
    parent = Row("k", {"a": 1})
    first, second = parent.child("n", 0, {"b": 2}), parent.child("n", 1, {"b": 2})
    assert first.data == {"a": 1, "b": 2}
    assert len({parent.id, first.id, second.id, parent.child("m", 0, {}).id}) == 4


def test_seeds_differ_by_row_node_and_draw_and_fit_31_bits() -> None:
    rows = [Row("k", {}), Row("l", {}), Row("k", {}).child("n", 0, {})]
    seeds = {derive_seed(row, node, k) for row in rows for node in "ab" for k in range(50)}
    assert len(seeds) == 300
    assert all(0 <= seed < 2**31 for seed in seeds)
