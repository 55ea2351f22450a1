import pytest

from raygen.checks.words import same_words


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("The Eiffel Tower.", "eiffel tower"),
        ("“Paris”", "Paris!"),
        ("(B)", "b"),
        ("ice-cream", "ice cream"),
        ("Smith, John", "smith john"),
        ("**yes**", "Yes"),
        ("a", "A"),
        ("  to the   left ", "to the left"),
    ],
)
def test_decoration_makes_no_other_answer(one: str, other: str) -> None:
    assert same_words(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [("-7", "7"), ("−7", "7"), ("C++", "C"), ("3,5", "35"), ("x>5", "x5"), ("a-b", "a b"), ("", ""),
     ("n!", "n"), ("a'", "a"), (".5", "5"), ("New York", "York")],
)  # fmt: skip
def test_signs_make_another_answer(one: str, other: str) -> None:
    assert not same_words(one, other)


@pytest.mark.parametrize("between", [" ", ".", "? ", "!"])
def test_a_long_run_of_signs_is_passed_over_once(between: str) -> None:
    """The limit of the whole test is what could fail it: a run that is gone over again and again
    takes minutes."""
    assert not same_words(f"sand{between * 300_000}snow", "sand snow, or ice")
