"""Exported conversations and pairs train a model with TRL, which knows their columns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from raygen.share.examples import read_examples
from raygen.share.export import ExportForm, Format, export_examples
from tests.support.shared_dataset import ROWS, write_dataset
from tests.unit.raygen.share.test_conversations import examples, quiz


def settings(folder: Path, **more: Any) -> dict[str, Any]:
    return {
        "output_dir": str(folder / "run"), "max_steps": 1, "per_device_train_batch_size": 2,
        "use_cpu": True, "bf16": False, "report_to": [], "save_strategy": "no",
        "logging_steps": 1, **more,
    }  # fmt: skip


def load(path: Path, cache: Path) -> Any:
    import datasets

    kind = "parquet" if path.suffix == ".parquet" else "json"
    return datasets.load_dataset(
        kind, data_files=str(path), split="train", cache_dir=str(cache / "cache")
    )


@pytest.mark.parametrize(
    ("form", "suffix"), [("chat", ".jsonl"), ("chat", ".parquet"), ("prompt-completion", ".jsonl")]
)
def test_trl_trains_on_the_chats(
    tmp_path: Path, tiny_model: Path, form: Format, suffix: str
) -> None:
    import trl

    dataset = write_dataset(tmp_path / "made", keys=range(ROWS))
    path = export_examples(read_examples(dataset.uri), form, tmp_path / f"chat{suffix}").path
    chats = load(path, tmp_path)
    assert trl.data_utils.is_conversational(chats[0])
    trainer = trl.SFTTrainer(
        model=str(tiny_model), args=trl.SFTConfig(**settings(tmp_path)), train_dataset=chats
    )
    done = trainer.train()
    assert done.global_step == 1
    assert 0 < done.training_loss < 20


def test_trl_trains_on_the_pairs(tmp_path: Path, tiny_model: Path) -> None:
    import trl

    rows = [quiz(key, sample, sample % 2) for key in "abcd" for sample in range(2)]
    form = ExportForm("preference")
    pairs = load(export_examples(examples(rows), form, tmp_path / "p.parquet").path, tmp_path)
    assert trl.data_utils.is_conversational(pairs[0])
    assert len(pairs) == 4
    trainer = trl.DPOTrainer(
        model=str(tiny_model), args=trl.DPOConfig(**settings(tmp_path)), train_dataset=pairs
    )
    done = trainer.train()
    assert done.global_step == 1
    assert 0 < done.training_loss < 5
