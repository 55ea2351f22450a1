"""Padding and packing, and how full the tensors are of recorded rationales, where at hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from transformers import AutoTokenizer

from streamtrain.config.student import StudentConfig
from streamtrain.data.batches import block_mask, collate, split_micro_batches
from streamtrain.data.examples import make_example
from streamtrain.data.tokenization import (
    TokenizedExample,
    make_example_tokenizer,
)


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


DATA = Path(__file__).parents[5] / "shared" / "data" / "palm_csqa_train.parquet"
BATCH = 64
ROWS = 1024
PLACES = 8192


def share_of_tokens(rows: list[dict[str, Any]], model: Path, pack: bool) -> float:
    """Of all places that the forward passes over these rows have, those that hold a token."""
    settings = {"student": "s", "version": 1, "model": str(model), "data": {"pack": pack}}
    config = StudentConfig.model_validate(settings)
    tokenizer = make_example_tokenizer(config, AutoTokenizer.from_pretrained(model))
    tokens = positions = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        examples = [tokenizer.example(make_example(row, config.data)) for row in batch]
        tokens += sum(one.tokens for one in examples)
        groups = split_micro_batches(examples, PLACES, pack)
        positions += sum(collate(group, 0, flat=pack).ids.numel() for group in groups)
    return tokens / positions


@pytest.mark.skipif(not DATA.is_file(), reason=f"the recorded rationales are not at {DATA}")
def test_packed_batches_are_at_least_97_percent_tokens(tiny_model: Path) -> None:
    rows = [
        {**row, "answer": row["gold"], "view": "positive"}
        for row in pyarrow.parquet.read_table(DATA).slice(0, ROWS).to_pylist()
    ]
    packed, padded = (share_of_tokens(rows, tiny_model, pack) for pack in (True, False))
    assert packed >= 0.97
    assert padded < packed
