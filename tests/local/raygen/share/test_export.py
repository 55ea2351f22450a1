"""Exported chats train a model with TRL."""

from __future__ import annotations

from pathlib import Path

from raygen.share.examples import read_examples
from raygen.share.export import export_examples
from tests.support.shared_dataset import ROWS, write_dataset


def test_trl_trains_on_the_chats(tmp_path: Path, tiny_model: Path) -> None:
    import datasets
    import trl

    dataset = write_dataset(tmp_path / "made", keys=range(ROWS))
    path = export_examples(read_examples(dataset.uri), "chat", tmp_path / "chat.jsonl")
    cache = str(tmp_path / "cache")
    chats = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=cache)
    settings = trl.SFTConfig(
        output_dir=str(tmp_path / "run"), max_steps=1, per_device_train_batch_size=2,
        use_cpu=True, bf16=False, report_to=[], save_strategy="no", logging_steps=1,
    )  # fmt: skip
    trainer = trl.SFTTrainer(model=str(tiny_model), args=settings, train_dataset=chats)
    done = trainer.train()
    assert done.global_step == 1
    assert 0 < done.training_loss < 20
