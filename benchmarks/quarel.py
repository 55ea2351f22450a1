"""Where a rationale belongs: QuaRel with a real teacher's rationales, three students of one model.

    python benchmarks/quarel.py DATA [--out out/quarel] [--steps 400] [--lr 5e-4]

DATA is a folder with gpt3_quarel_train.parquet (question_id, question, choices, gold, rationale,
predicted), whose questions are split by a hash of their id into training and selection, and
quarel_dev.parquet, which alone is reported. A question's first right rationale is trained on, as in
the paper (arXiv 2406.14511). The students see the same rows in the same order for as many steps:
without a rationale, with it before the label, and after it. Runs that are there already are kept.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import zlib
from pathlib import Path

import polars as pl

HERE = Path(__file__).parent
PLACEMENTS = ("none", "before", "after")
SELECT_SHARE = 0.1

STUDENT = """student: quarel-{placement}
version: 1
model: bundled:smollm2-135m-instruct
tune: {{method: lora, r: 16, alpha: 32}}
data: {{rationale: {placement}, max_input: 192, max_target: 96}}
optim: {{lr: {lr}, batch: 8, max_steps: {steps}, schedule: linear, warmup: 0.06}}
stream: {{seed: 0}}
evaluate: {{select: select.jsonl, report: quarel_dev.jsonl, every: {every}}}
"""


def write_sets(data: Path, out: Path) -> None:
    """train.jsonl, select.jsonl and quarel_dev.jsonl; no question of one is in another."""
    told = pl.read_parquet(data / "gpt3_quarel_train.parquet").rename({"gold": "answer"})
    right = told.filter(pl.col("predicted") == pl.col("answer")).unique(
        "question_id", keep="first", maintain_order=True
    )
    held = [zlib.crc32(name.encode()) % 1000 < SELECT_SHARE * 1000 for name in right["question_id"]]
    columns = ["question", "choices", "answer"]
    mask = pl.Series(held)
    right.filter(~mask).select(*columns, "rationale", "predicted").write_ndjson(out / "train.jsonl")
    right.filter(mask).select(columns).write_ndjson(out / "select.jsonl")
    dev = pl.read_parquet(data / "quarel_dev.parquet").select(columns)
    dev.write_ndjson(out / "quarel_dev.jsonl")


def run(*words: str | Path) -> None:
    subprocess.run([sys.executable, "-m", *map(str, words)], check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, default=Path("out/quarel"))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--lr", type=float, default=5e-4)
    args = parser.parse_args()
    out = args.out.absolute()
    out.mkdir(parents=True, exist_ok=True)
    write_sets(args.data, out)
    source = f"source={out / 'train.jsonl'}"
    run(
        "raygen.cli", "apply", HERE / "quarel.yaml", "--set", source, "--out", out / "data", "--yes"
    )
    for placement in PLACEMENTS:
        student = out / f"{placement}.yaml"
        every = max(1, args.steps // 4)
        student.write_text(
            STUDENT.format(placement=placement, lr=args.lr, steps=args.steps, every=every)
        )
        if not (out / placement / "result.json").exists():
            words = ("fit", student, "--data", out / "data", "--out", out / placement)
            run("streamtrain.cli", *words)
        result = json.loads((out / placement / "result.json").read_text())
        print(f"{placement}: {result['steps']} steps, {result['seconds'] / 60:.1f} minutes")
    run("streamtrain.cli", "compare", *(out / placement for placement in PLACEMENTS))


if __name__ == "__main__":
    main()
