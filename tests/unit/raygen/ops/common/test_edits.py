"""Edited texts: what models put around them, and distances."""

import pytest

from raygen.ops.common.edits import character_distance, extract_edit, token_distance

FILM = "a charming and funny film ."
LABELS = ("negative", "positive")


@pytest.mark.parametrize(
    "answer",
    [
        "a dull and funny film .",
        "  a dull and funny film .\n",
        '"a dull and funny film ."',
        "“a dull and funny film .”",
        "'a dull and funny film .'",
        "Here is the sentence: a dull and funny film .",
        'Here is the edited sentence:\n\n"a dull and funny film ."',
        'Sure! Here\'s the edited text with the label "negative":\n\na dull and funny film .',
        "Edited text: a dull and funny film .",
        "Sentence: a dull and funny film .",
        "Certainly! a dull and funny film .",
        "a **dull** and funny film .",
        "a dull and funny film . (negative)",
        "a dull and funny film . Label: negative",
        "a dull and funny film . -> Negative.",
        '"a dull and funny film ." (label: negative)',
        "a dull and funny film .\nLabel: negative\n\nText: the next one",
        "a dull and funny film .\n\nI changed charming to dull.",
        '"a dull and funny film ." I changed "charming" to "dull".',
    ],
)
def test_what_stands_around_an_edit_is_taken_off(answer: str) -> None:
    assert extract_edit(answer, FILM, LABELS) == "a dull and funny film ."


@pytest.mark.parametrize(
    ("answer", "original"),
    [
        ('"Dull" is the word .', '"Charming" is the word .'),
        ("The text: a mess", "The text: a joy"),
        ("It is negative", "It is positive"),
        ('"Dull" is the word for this long film', "Charming is the word for this long film"),
        ("They call it 'fun", "They call it fun"),
        ("my rating (negative)", "my rating (positive)"),
        ("one **bad** word", "one **good** word"),
        ("Bad.\nVery bad.", "Good.\nVery good."),
        ("'Tis a bore", "'Tis a joy"),
        ("Note: it is dull", "It is charming"),
    ],
)
def test_what_belongs_to_the_text_stays(answer: str, original: str) -> None:
    assert extract_edit(answer, original, LABELS) == answer


def test_distances_are_shares() -> None:
    assert token_distance(FILM, FILM) == 0
    assert token_distance(FILM, "a dull and funny film .") == pytest.approx(1 / 6)
    assert token_distance("a b", "c d") == token_distance("", "a") == 1
    assert character_distance("abcd", "abce") == 0.25
