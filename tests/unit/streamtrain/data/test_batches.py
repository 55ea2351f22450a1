"""Tokens, loss weights, padding and packing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from hypothesis import given
from hypothesis import strategies as st

from streamtrain.config.target import TargetSpan
from streamtrain.data.batches import block_mask, collate, split_micro_batches
from streamtrain.data.examples import Example
from streamtrain.data.tokenization import ExampleTokenizer, LengthLimits, TokenizedExample

EOS = 0


class FakeTokenizer:
    """A fake tokenizer: one token for every character, after a beginning-of-text token."""

    eos_token_id = EOS

    def __call__(self, text: str, add_special_tokens: bool = True) -> dict[str, Any]:
        ids = [ord(character) for character in text]
        return {"input_ids": [1, *ids] if add_special_tokens else ids}


def encoder(
    weights: Mapping[str, float] | None = None, max_input: int = 50, max_target: int = 50
) -> ExampleTokenizer:
    weights = weights or {"rationale": 1.0, "label": 1.0}
    return ExampleTokenizer(FakeTokenizer(), LengthLimits(max_input, max_target), weights)


EXAMPLE = Example("ask", (TargetSpan("label", " B"), TargetSpan("rationale", " so")), 2.0)


def test_input_tokens_weigh_nothing_and_spans_what_was_asked() -> None:
    encoded = encoder({"rationale": 0.5, "label": 3.0}).example(EXAMPLE)
    assert encoded.ids == (1, *map(ord, "ask B so"), EOS)
    # The end of sequence weighs what the span before it does; the view doubles everything.
    assert encoded.weights == (0, 0, 0, 0, 6, 6, 1, 1, 1, 1)
    assert not encoded.cut


def test_a_long_input_loses_its_beginning_and_a_long_target_its_end() -> None:
    encoded = encoder(max_input=2, max_target=3).example(EXAMPLE)
    assert encoded.ids == tuple(map(ord, "sk B "))
    assert encoded.weights == (0, 0, 2, 2, 2)
    assert encoded.cut


def test_spans_may_weigh_the_same_whatever_their_length() -> None:
    per_span = ExampleTokenizer(
        FakeTokenizer(), LengthLimits(50, 50), {"rationale": 0.5, "label": 3.0}, per_span=True
    )
    weights = per_span.example(EXAMPLE).weights
    assert weights[4:6] == (3.0, 3.0)
    assert weights[6:] == (0.25,) * 4


def test_a_span_that_is_cut_weighs_as_much_as_a_whole_one() -> None:
    weights = {"rationale": 1.0, "label": 1.0}
    cut = ExampleTokenizer(FakeTokenizer(), LengthLimits(50, 4), weights, per_span=True).example(
        EXAMPLE
    )
    assert cut.cut
    assert cut.weights[4:] == (1.0, 1.0, 1.0, 1.0)


def sequence(length: int, start: int = 5) -> TokenizedExample:
    return TokenizedExample(tuple(range(start, start + length)), (0.0,) + (1.0,) * (length - 1))


def test_rows_are_padded_on_the_right() -> None:
    batch = collate([[sequence(3)], [sequence(2)]], pad=99)
    assert batch.ids.tolist() == [[5, 6, 7], [5, 6, 99]]
    assert batch.weights.tolist() == [[0, 1, 1], [0, 1, 0]]
    assert batch.mask.tolist() == [[1, 1, 1], [1, 1, 0]]
    assert batch.positions.tolist() == [[0, 1, 2], [0, 1, 0]]


def test_packed_sequences_start_anew_and_see_only_themselves() -> None:
    batch = collate([[sequence(2, 5), sequence(3, 8)]], pad=99)
    assert batch.ids.tolist() == [[5, 6, 8, 9, 10]]
    assert batch.positions.tolist() == [[0, 1, 0, 1, 2]]
    assert batch.mask[0, 0].int().tolist() == [
        [1, 0, 0, 0, 0],
        [1, 1, 0, 0, 0],
        [0, 0, 1, 0, 0],
        [0, 0, 1, 1, 0],
        [0, 0, 1, 1, 1],
    ]


def test_padding_sees_itself_alone() -> None:
    mask = block_mask(torch.tensor([[0, -1, -1]]))
    assert mask[0, 0].int().tolist() == [[1, 0, 0], [0, 1, 0], [0, 0, 1]]


@given(
    st.lists(st.tuples(st.integers(1, 40), st.integers(0, 30)), max_size=30),
    st.integers(1, 100),
    st.booleans(),
)
def test_no_sequence_is_lost_and_micro_batches_stay_small(
    lengths: list[tuple[int, int]], capacity: int, pack: bool
) -> None:
    """An input that stands apart takes places too."""
    sequences = [replace(sequence(length), encoder_ids=(5,) * apart) for length, apart in lengths]
    groups = list(split_micro_batches(sequences, capacity, pack))
    back = [(len(one.ids), len(one.encoder_ids)) for rows in groups for row in rows for one in row]
    assert sorted(back) == sorted(lengths)
    for rows in groups:
        width = max(sum(one.tokens for one in row) for row in rows)
        single = len(rows) == 1 and len(rows[0]) == 1
        assert single or width * len(rows) <= capacity
