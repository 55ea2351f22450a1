"""How full the tensors are that packing makes of recorded rationales, where they are at hand."""

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
from transformers import AutoTokenizer

from streamtrain.config.student import StudentConfig
from streamtrain.data.batches import collate, split_micro_batches
from streamtrain.data.examples import make_example
from streamtrain.data.tokenization import make_example_tokenizer

DATA = Path(__file__).parents[5] / "shared" / "data" / "palm_csqa_train.parquet"
BATCH = 64
ROWS = 1024
PLACES = 8192


def share_of_tokens(rows: list[dict[str, Any]], model: Path, pack: bool) -> float:
    """Of all places that the forward passes over these rows have, those that hold a token."""
    settings = {"student": "s", "version": 1, "model": str(model), "data": {"pack": pack}}
    config = StudentConfig.model_validate(settings)
    encoder = make_example_tokenizer(config, AutoTokenizer.from_pretrained(model))
    tokens = places = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        examples = [encoder.example(make_example(row, config.data)) for row in batch]
        tokens += sum(one.tokens for one in examples)
        groups = split_micro_batches(examples, PLACES, pack)
        places += sum(collate(group, 0, flat=pack).ids.numel() for group in groups)
    return tokens / places


@pytest.mark.skipif(not DATA.is_file(), reason=f"the recorded rationales are not at {DATA}")
def test_packed_batches_are_at_least_97_percent_tokens(tiny_model: Path) -> None:
    rows = [
        {**row, "answer": row["gold"], "view": "positive"}
        for row in pyarrow.parquet.read_table(DATA).slice(0, ROWS).to_pylist()
    ]
    packed, padded = (share_of_tokens(rows, tiny_model, pack) for pack in (True, False))
    assert packed >= 0.97
    assert padded < packed
