"""Export examples for other programs: as they are, as conversations, or as instructions.

A file is complete before it gets its final name. Knows nothing of how examples are selected.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from raygen.core import UserError
from raygen.dataset import example_schema
from raygen.share.conversations import ConversationForm, ConversationMaker
from raygen.share.examples import Examples
from raygen.share.trainer_rows import (
    Trainer,
    chat_rows,
    completion_rows,
    fit_trainer,
    for_parquet,
    preference_rows,
)
from raygen.share.wording import InstructionPair, TaskWording

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["parquet", "jsonl", "hf", "chat", "prompt-completion", "preference", "alpaca"]
FORMATS: Mapping[Format, str] = {
    "parquet": ".parquet",
    "jsonl": ".jsonl",
    "hf": ".hf",
    "chat": ".chat.jsonl",
    "prompt-completion": ".prompt-completion.jsonl",
    "preference": ".preference.jsonl",
    "alpaca": ".alpaca.jsonl",
}
"""The suffix of each format's file; the default stem is the recipe's name."""


@dataclass(frozen=True, slots=True)
class ExportForm:
    """What an export is to be: its format, how conversations are worded, and for which trainer."""

    name: Format
    conversation: ConversationForm = field(default_factory=ConversationForm)
    trainer: Trainer = "trl"

    @property
    def is_conversational(self) -> bool:
        """Whether it consists of turns."""
        return self.name in _CONVERSATIONAL


def export_examples(examples: Examples, form: Format | ExportForm, out: Path | None) -> Exported:
    """Write examples in a format, and return the path and how many rows it has.

    `out` is the file to write, by default one named after the recipe in the current folder;
    conversations become Parquet where its name ends so, else JSON lines. Raises UserError where the
    file exists, or the examples don't fit the format.
    """
    form = form if isinstance(form, ExportForm) else ExportForm(form)
    if not len(examples.frame):
        raise UserError("there are no examples to export")
    name = re.sub(r"\W+", "-", examples.plan["recipe"]).strip("-") or "examples"
    target = out or Path(name + FORMATS[form.name])
    if os.path.lexists(target):
        raise UserError(f"{target} is there already; nothing was changed. Name another with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        draft = Path(folder) / target.name
        if form.is_conversational:
            count = _write_conversations(examples, form, draft)
        else:
            _WRITERS[form.name](examples, draft)
            count = len(examples.frame)
        draft.rename(target)
    return Exported(target, count)


@dataclass(frozen=True, slots=True)
class Exported:
    """A file that was written, and its number of rows."""

    path: Path
    rows: int


_CONVERSATIONAL = ("chat", "prompt-completion", "preference")


def _write_conversations(examples: Examples, form: ExportForm, target: Path) -> int:
    maker = ConversationMaker(examples.plan, form.conversation)
    frame = list(examples.frame.iter_rows(named=True))
    if form.name == "preference":
        made = preference_rows(frame, maker, examples.plan)
    else:
        made = (chat_rows if form.name == "chat" else completion_rows)(frame, maker)
    rows = fit_trainer(list(made), form.trainer)
    if target.suffix == ".parquet":
        import pyarrow as pa
        import pyarrow.parquet as pq

        pq.write_table(pa.Table.from_pylist(for_parquet(rows)), target, compression="zstd")
    else:
        _write_lines(iter(rows), target)
    return len(rows)


def _parquet(examples: Examples, target: Path) -> None:
    import pyarrow.parquet as pq

    pq.write_table(_table(examples), target, compression="zstd")


def _hf(examples: Examples, target: Path) -> None:
    import datasets

    datasets.disable_progress_bars()
    datasets.Dataset(_table(examples)).save_to_disk(target)


def _jsonl(examples: Examples, target: Path) -> None:
    _write_lines(examples.frame.iter_rows(named=True), target)


def _alpaca(examples: Examples, target: Path) -> None:
    wording = TaskWording.of(examples.plan)
    rows = examples.frame.iter_rows(named=True)
    _write_lines((as_alpaca(row, wording.turn(row)) for row in rows), target)


_WRITERS: Mapping[Format, Callable[[Examples, Path], None]] = {
    "parquet": _parquet,
    "jsonl": _jsonl,
    "hf": _hf,
    "alpaca": _alpaca,
}


def _table(examples: Examples) -> pa.Table:
    schema = example_schema(examples.plan["columns"])
    return examples.frame.to_arrow().select(schema.names).cast(schema)


def _write_lines(rows: Iterator[Mapping[str, Any]], target: Path) -> None:
    with target.open("w", encoding="utf-8") as file:
        file.writelines(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def as_alpaca(row: Mapping[str, Any], turn: InstructionPair) -> dict[str, Any]:
    """Convert to `instruction`, `input` and `output`, the columns of Alpaca."""
    return {
        "id": row["id"],
        "instruction": turn.instruction,
        "input": turn.prompt,
        "output": turn.reply,
    }
