"""How full the tensors are that packing makes of recorded rationales, where they are at hand."""

from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest
import torch
from transformers import AutoTokenizer

from streamtrain.config.student import StudentConfig
from streamtrain.data.batches import Encoded, collate, make_encoder, split
from streamtrain.data.examples import make_example
from streamtrain.models.seq2seq import pack_targets, pad_targets
from streamtrain.models.student import load_student, source_of
from tests.unit.streamtrain.models.test_seq2seq import family

DATA = Path(__file__).parents[5] / "shared" / "data" / "palm_csqa_train.parquet"
CPU = torch.device("cpu")
BATCH = 64
ROWS = 1024
PLACES = 8192


def share_of_tokens(
    rows: list[dict[str, Any]], model: Path, pack: bool, kind: str = "causal"
) -> float:
    """Of all places that the forward passes over these rows have, those that hold a token."""
    settings = {"student": "s", "version": 1, "model": str(model), "data": {"pack": pack}}
    config = StudentConfig.model_validate({**settings, "kind": kind})
    encoder = make_encoder(config, AutoTokenizer.from_pretrained(model))
    student = load_student(source_of(config), None, CPU) if kind == "seq2seq" else None

    def places_of(group: list[list[Encoded]]) -> int:
        if student is None:
            return collate(group, 0, flat=pack).ids.numel()
        sequences = [one for row in group for one in row]
        tensors = pack_targets if pack else pad_targets
        made = tensors(student, [one.given for one in sequences], [one.ids for one in sequences])
        return made.inputs.numel() + made.before.numel()

    tokens = places = 0
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]
        examples = [encoder.example(make_example(row, config.data)) for row in batch]
        tokens += sum(one.tokens for one in examples)
        groups = split(examples, PLACES, pack)
        places += sum(places_of(group) for group in groups)
    return tokens / places


@pytest.mark.skipif(not DATA.is_file(), reason=f"the recorded rationales are not at {DATA}")
@pytest.mark.parametrize("kind", ["causal", "seq2seq"])
def test_packed_batches_are_at_least_97_percent_tokens(
    tiny_model: Path, tmp_path: Path, kind: str
) -> None:
    model = family("t5", tmp_path, tiny_model) if kind == "seq2seq" else tiny_model
    rows = [
        {**row, "answer": row["gold"], "view": "positive"}
        for row in pyarrow.parquet.read_table(DATA).slice(0, ROWS).to_pylist()
    ]
    packed, padded = (share_of_tokens(rows, model, pack, kind) for pack in (True, False))
    assert packed >= 0.97
    assert padded < packed
