"""Masked texts: words found and masked, and what filled the masks read back."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.ops.common.masking import (
    MASK,
    TextSpan,
    extract_fills,
    fill_masks,
    mask_spans,
    merge_spans,
    occurrences,
    restore_ending,
)

TEXT = "The farm land by the farm was sold; farmland, Farm LAND and farm-hands were not."


def texts_of(named: str) -> list[str]:
    return [TEXT[span.start : span.end] for span in occurrences(TEXT, named, "topic")]


@pytest.mark.parametrize(
    ("named", "standing"),
    [
        ("farm land", ["farm land", "Farm LAND"]),
        ("farm", ["farm", "farm", "Farm"]),
        ("farm  \n land", ["farm land", "Farm LAND"]),
        ("farm-hands", ["farm-hands"]),
        ("hands", []),
        ("arm", []),
        ("sold;", ["sold;"]),
        ("", []),
        (" ", []),
        ("f.*", []),
    ],
)
def test_whole_words_are_found_whatever_their_case(named: str, standing: list[str]) -> None:
    assert texts_of(named) == standing


def test_neighbours_and_overlaps_become_one_mask() -> None:
    text = "the old farm land is sold"
    spans = [TextSpan(0, 12, "phrase"), TextSpan(8, 12, "topic"), TextSpan(13, 17, "topic")]
    assert merge_spans(text, spans) == [TextSpan(0, 17, "topic")]
    assert mask_spans(text, merge_spans(text, spans)) == "[MASK] is sold"


def test_punctuation_keeps_neighbours_apart() -> None:
    text = "farm, land"
    spans = merge_spans(text, [TextSpan(6, 10, "phrase"), TextSpan(0, 4, "phrase")])
    assert mask_spans(text, spans) == "[MASK], [MASK]"


def test_the_fills_must_be_as_many_as_the_masks() -> None:
    with pytest.raises(ValueError, match="argument"):
        fill_masks("a [MASK] b", [])


TEXTS = st.text("ab -',.?\n", max_size=40)


@st.composite
def texts_with_spans(draw: st.DrawFn) -> tuple[str, list[TextSpan]]:
    text = draw(TEXTS)
    ends = st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))
    kinds = st.sampled_from(("topic", "phrase"))
    pairs = draw(st.lists(st.tuples(ends, kinds), max_size=6))
    return text, [
        TextSpan(min(e), max(e), kind) for e, kind in pairs if text[min(e) : max(e)].strip()
    ]


@given(texts_with_spans())
def test_merged_spans_never_touch_and_lose_no_character(case: tuple[str, list[TextSpan]]) -> None:
    text, spans = case
    result = merge_spans(text, spans)
    for first, second in pairwise(result):
        assert first.end < second.start
        assert text[first.end : second.start].strip()
    for span in spans:
        assert any(s.start <= span.start and span.end <= s.end for s in result)
    covered = {i for span in spans for i in range(span.start, span.end)}
    for span in result:
        for i in range(span.start, span.end):
            assert i in covered or not text[i].strip()


@given(texts_with_spans())
def test_unmasking_with_what_was_there_gives_the_text_back(
    case: tuple[str, list[TextSpan]],
) -> None:
    text, spans = case
    result = merge_spans(text, spans)
    masked = mask_spans(text, result)
    assert masked.count(MASK) == len(result)
    assert fill_masks(masked, [text[span.start : span.end] for span in result]) == text


@given(TEXTS, st.text("ab-", min_size=1, max_size=3))
def test_occurrences_are_what_was_named(text: str, named: str) -> None:
    for span in occurrences(text, named, "phrase"):
        assert text[span.start : span.end] == named
        assert not re.match(r"\w\w", text[max(0, span.start - 1) : span.start + 1])
        assert not re.match(r"\w\w", text[span.end - 1 : span.end + 1])


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


UNMASKED = st.from_regex(r" ?[,;-] ?|[ ,;]([ab]{1,2}[ ,]{1,2}){1,3}", fullmatch=True)
"""Between two masks there is always something, and no word is cut."""
FILLS = st.from_regex(r"[xyz]( ?[xyzab,]){0,4}", fullmatch=True)


@given(st.data(), st.lists(UNMASKED, max_size=4))
def test_whatever_is_filled_in_is_aligned(data: st.DataObject, between: list[str]) -> None:
    masked = MASK.join([data.draw(st.sampled_from(("", "Ab ", "a "))), *between, "?"])
    fills = data.draw(st.lists(FILLS, min_size=len(between) + 1, max_size=len(between) + 1))
    filled = fill_masks(masked, fills)
    read = extract_fills(masked, filled)
    assert read is not None
    assert len(read) == len(fills)
    assert "".join(fill_masks(masked, read).split()) == "".join(filled.split())


@given(st.lists(UNMASKED, max_size=3), st.text("bxy,; ", max_size=30))
def test_what_is_read_is_what_was_kept(between: list[str], filled: str) -> None:
    masked = MASK.join(["", *between, ""])
    read = extract_fills(masked, filled)
    if read is not None:
        assert len(read) == masked.count(MASK)
        assert all(fill.strip() == fill != "" for fill in read)
        assert "".join(fill_masks(masked, read).split()) == "".join(filled.split())
