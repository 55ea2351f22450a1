"""Spans: named words found in a text, merged, masked and unmasked."""

import re
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.ops.common.spans import (
    MASK,
    TextSpan,
    count_words,
    fill_masks,
    mask_spans,
    merge_spans,
    occurrences,
)

TEXT = "The farm land by the farm was sold; farmland, Farm LAND and farm-hands were not."


def found(named: str) -> list[str]:
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
    assert found(named) == standing


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


def test_a_contraction_is_one_word() -> None:
    assert count_words("Mike's dog didn't bark - twice.") == 5
