"""How many files a dataset has, by how its source is cut into blocks, before and after `finish`.

    python benchmarks/dataset_files.py [ROWS]

Writes datasets of made-up rows (two examples and two calls each) to a temporary folder, with one
commit for each block, as a slow run makes them. No engine and no Ray.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from deltalake import DeltaTable

from raygen.core import ColumnType
from raygen.dataset import Call, Committer, Dataset, Folder, RowResult, write_block
from raygen.runtime.tasks import split_into_blocks

TABLES = ("rows", "examples", "transcripts")
COLUMNS: Mapping[str, ColumnType] = {"question": "string", "rationale": "string"}
SMALL = 64
"""Rows of a block as version 0.1.0 cut them, however large the source."""


def made_up(number: int) -> RowResult:
    """A row that was kept, with texts of the usual length."""
    key, text = f"{number:032x}", f"Because {number} is a number, and numbers are. " * 8
    examples = tuple(
        {"id": f"{key}-{k}", "node": "n", "question": f"Why {number}?", "rationale": text}
        for k in range(2)
    )
    calls = tuple(
        Call(
            f"{key}-{k}", "n", key, "teacher", "m", None, "generate", text, "{}", text, 90, 90, 1.0
        )
        for k in range(2)
    )
    return RowResult(key, "kept", examples, (), calls, None, 1.0, {"n": (1, 2, 0)})


def measure(folder: Folder, blocks: Sequence[Sequence[int]]) -> None:
    """Write the blocks, finish, and print what lies there before and after."""
    run = Committer(folder, "plan", COLUMNS, "run")
    run.start({"source": sum(map(len, blocks))})
    for numbers in blocks:
        rows = [made_up(number) for number in numbers]
        run.commit([write_block(folder, rows, "plan", COLUMNS)])
    for state in ("written", "finished"):
        if state == "finished":
            began = time.monotonic()
            run.finish("end")
            print(f"    finish took {time.monotonic() - began:.1f} s")
        scanned = [len(DeltaTable(folder.join(table)).file_uris()) for table in TABLES]
        stored = [len(list(Path(folder.join(table)).glob("*.parquet"))) for table in TABLES]
        began = time.monotonic()
        Dataset(folder).examples().select("rationale").collect()
        took = time.monotonic() - began
        print(
            f"    {state}: a scan opens {scanned}, on disk {stored}, examples read in {took:.2f} s"
        )


def main() -> None:
    """Compare blocks of one size with blocks that grow."""
    rows = int(sys.argv[1]) if len(sys.argv) > 1 else 10_000
    same = [range(at, min(at + SMALL, rows)) for at in range(0, rows, SMALL)]
    growing = [task.ordinals for task in split_into_blocks(range(rows), 1)]
    print(f"{rows} rows, files of {', '.join(TABLES)}")
    for name, blocks in (("blocks of 64", same), ("blocks that grow", growing)):
        print(f"  {name}: {len(blocks)} blocks")
        with tempfile.TemporaryDirectory() as folder:
            measure(Folder.at(folder), blocks)


if __name__ == "__main__":
    main()
