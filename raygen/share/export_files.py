"""Write the examples of a dataset to one file, or folder, that other programs read.

The file is complete before it gets its name. Knows nothing of how examples are selected.
"""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from raygen.core import UserError
from raygen.dataset import example_schema
from raygen.share.examples import Examples
from raygen.share.formats import FORMATS, Format, TaskWording, as_alpaca, as_chat

if TYPE_CHECKING:
    import pyarrow as pa


def export_examples(examples: Examples, form: Format, out: Path | None) -> Path:
    """Write examples in a format, and return the path. Raises UserError."""
    if not len(examples.frame):
        raise UserError("there are no examples to export")
    name = re.sub(r"\W+", "-", examples.plan["recipe"]).strip("-") or "examples"
    target = out or Path(name + FORMATS[form])
    if target.exists():
        raise UserError(f"{target} is there already; nothing was changed. Name another with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    draft = target.with_name(f".{target.name}.part")
    _remove(draft)
    try:
        _WRITERS[form](examples, draft)
        draft.rename(target)
    finally:
        _remove(draft)
    return target


def _parquet(examples: Examples, target: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(examples), target, compression="zstd")


def _hf(examples: Examples, target: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset(_table(examples)).save_to_disk(target)


def _jsonl(examples: Examples, target: Path) -> None:
    _write_lines(examples.frame.iter_rows(named=True), target)


def _chat(examples: Examples, target: Path) -> None:
    wording = TaskWording.of(examples.plan)
    rows = examples.frame.iter_rows(named=True)
    _write_lines((as_chat(row, wording.turn(row)) for row in rows), target)


def _alpaca(examples: Examples, target: Path) -> None:
    wording = TaskWording.of(examples.plan)
    rows = examples.frame.iter_rows(named=True)
    _write_lines((as_alpaca(row, wording.turn(row)) for row in rows), target)


_WRITERS: Mapping[Format, Callable[[Examples, Path], None]] = {
    "parquet": _parquet,
    "jsonl": _jsonl,
    "hf": _hf,
    "chat": _chat,
    "alpaca": _alpaca,
}


def _table(examples: Examples) -> pa.Table:
    schema = example_schema(examples.plan["columns"])
    return examples.frame.to_arrow().select(schema.names).cast(schema)


def _write_lines(rows: Iterator[Mapping[str, Any]], target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
