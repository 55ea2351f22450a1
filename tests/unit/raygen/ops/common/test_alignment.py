"""Alignment: a filled text keeps the words outside its masks, or it doesn't."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.ops.common.alignment import extract_fills, restore_ending, same_words
from raygen.ops.common.spans import MASK, fill_masks

JUSTICE = "What might be [MASK] if [MASK] is convicted of [MASK]?"


def test_the_example_of_the_paper_is_aligned() -> None:
    text = "What might be a concern for society if an innocent person is convicted of a crime?"
    assert extract_fills(JUSTICE, text) == [
        "a concern for society",
        "an innocent person",
        "a crime",
    ]


@pytest.mark.parametrize(
    ("masked", "filled", "fills"),
    [
        ("[MASK] runs.", "The dog runs", ["The dog"]),
        ("The [MASK] runs.", "the dog runs!", ["dog"]),
        ("A [MASK] runs", "An owl runs.", ["owl"]),
        ("He saw an [MASK] run", "He saw a dog run", ["dog"]),
        ("He saw\n [MASK]  run", "He saw the  dog run", ["the  dog"]),
        ("[MASK]'s house", "Mike's house", ["Mike"]),
        ("[MASK]; [MASK]", "a;b; c; d", ["a;b", "c; d"]),
        ("[MASK] if [MASK].", "if if b", ["if", "b"]),
        ("[MASK]", "anything at all", ["anything at all"]),
        ("Is [MASK] in [MASK]?", "Is Dr. Who in the U.S. Army?", ["Dr. Who", "the U.S. Army"]),
        ("What of [MASK]?", "What of [MASK]?", ["[MASK]"]),
    ],
)
def test_what_does_not_count(masked: str, filled: str, fills: list[str]) -> None:
    assert extract_fills(masked, filled) == fills


@pytest.mark.parametrize(
    ("masked", "filled"),
    [
        (JUSTICE, "What might be a concern if a person is convicted for a crime?"),
        (JUSTICE, "What might be if is convicted of ?"),
        (JUSTICE, "So what might be x if y is convicted of z?"),
        ("[MASK] runs.", "The dog runs away."),
        ("[MASK] runs.", "The dog Runs."),
        ("[MASK] runs.", "runs."),
        ("Who saw [MASK]?", "Who saw a dog? It ran."),
        ("Who saw [MASK]?", "Who saw a dog. It ran."),
        ("The [MASK] runs.", "A dog runs."),
        ("He saw [MASK] run.", "He saw a dogrun."),
        ("no mask", "no mask"),
        (",".join([MASK] * 12) + " end", "a," * 500),
    ],
)
def test_what_changes_the_text(masked: str, filled: str) -> None:
    assert extract_fills(masked, filled) is None


def test_the_filled_text_gets_the_end_of_the_masked_one() -> None:
    assert restore_ending("Where is [MASK]?", "Where is\n the  dog.") == "Where is the dog?"
    assert restore_ending("[MASK] is here", "The dog is here.") == "The dog is here"
    assert restore_ending("Why [MASK]? ", "Why me?!") == "Why me?"


def test_case_and_punctuation_make_no_other_words() -> None:
    assert same_words("Where is the dog?", "where is - the Dog")
    assert not same_words("Where is the dog?", "Where is a dog?")


KEPT = st.from_regex(r" ?[,;-] ?|[ ,;]([ab]{1,2}[ ,]{1,2}){1,3}", fullmatch=True)
"""Between two masks there is always something, and no word is cut."""
FILLS = st.from_regex(r"[xyz]( ?[xyzab,]){0,4}", fullmatch=True)


@given(st.data(), st.lists(KEPT, max_size=4))
def test_whatever_is_filled_in_is_aligned(data: st.DataObject, between: list[str]) -> None:
    masked = MASK.join([data.draw(st.sampled_from(("", "Ab ", "a "))), *between, "?"])
    fills = data.draw(st.lists(FILLS, min_size=len(between) + 1, max_size=len(between) + 1))
    filled = fill_masks(masked, fills)
    read = extract_fills(masked, filled)
    assert read is not None
    assert len(read) == len(fills)
    assert "".join(fill_masks(masked, read).split()) == "".join(filled.split())


@given(st.lists(KEPT, max_size=3), st.text("bxy,; ", max_size=30))
def test_what_is_read_is_what_was_kept(between: list[str], filled: str) -> None:
    masked = MASK.join(["", *between, ""])
    read = extract_fills(masked, filled)
    if read is not None:
        assert len(read) == masked.count(MASK)
        assert all(fill.strip() == fill != "" for fill in read)
        assert "".join(fill_masks(masked, read).split()) == "".join(filled.split())
