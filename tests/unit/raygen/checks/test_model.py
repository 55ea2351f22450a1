import pytest

from raygen.checks import read_same


@pytest.mark.parametrize(
    ("text", "correct"),
    [
        ('{"reason": "both name Paris", "same": "yes"}', True),
        ('{"reason": "another city", "same": "no"}', False),
        ("Yes.", True),
        ("yes\nBoth name Paris", True),
        ("No, another city", False),
        ("yesterday", False),
        ("I can't tell", False),
        ("", False),
        ('{"same": true}', False),
        ('{"reason": "same", "same": "Yes"}', True),
        ('{"reason": "both are "yes". However", "same": "no"}', False),
        ('{"reason": "both are "yes"", "same": "yes"}\n', True),
        ('{"reason": "it is "yes", "same": "yes" or "no"', False),
    ],
)
def test_only_a_clear_yes_says_that_answers_are_the_same(text: str, correct: bool) -> None:
    assert read_same(text).correct is correct


def test_the_reason_is_the_models_own() -> None:
    assert read_same('{"reason": "both name Paris", "same": "yes"}').reason == "both name Paris"
