"""Texts as words and tokens: cut into pieces that join to the text, counted, compared."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.engines.models.bundled import bundled_problem
from raygen.engines.models.tokenizer import load_tokenizer
from raygen.ops.common.tokens import (
    count_words,
    join_pieces,
    same_words,
    split_tokens,
    split_words,
)

MODEL = "bundled:smollm2-135m-instruct"
TEXT = "Fish need water because they have gills, and gills work under water only."


@given(st.text(max_size=80))
def test_words_joined_are_the_text(text: str) -> None:
    assert join_pieces(split_words(text)) == " ".join(text.split())


@pytest.mark.skipif(bundled_problem(MODEL) is not None, reason="the bundled model is not installed")
@pytest.mark.parametrize("text", [TEXT, "naïve café 日本語 🙂 end", "a  b\nc"])
def test_tokens_joined_are_the_text(text: str) -> None:
    assert join_pieces(split_tokens(text, load_tokenizer(MODEL))) == text


def test_a_contraction_is_one_word() -> None:
    assert count_words("Mike's dog didn't bark - twice.") == 5


def test_case_and_punctuation_make_no_other_words() -> None:
    assert same_words("Where is the dog?", "where is - the Dog")
    assert same_words("a charming and funny film .", "A charming,  and funny film")
    assert same_words("it is n't funny .", "It isn't funny.")
    assert not same_words("Where is the dog?", "Where is a dog?")
