"""Export examples for other programs: as they are, as chat messages, or as instructions.

A file is complete before it gets its final name. Knows nothing of how examples are selected.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Literal

from raygen.core import TASKS, UserError, option_letter, prompt_text
from raygen.dataset import example_schema
from raygen.share.examples import Examples

if TYPE_CHECKING:
    import pyarrow as pa

Format = Literal["parquet", "jsonl", "hf", "chat", "alpaca"]
FORMATS: Mapping[Format, str] = {
    "parquet": ".parquet",
    "jsonl": ".jsonl",
    "hf": ".hf",
    "chat": ".chat.jsonl",
    "alpaca": ".alpaca.jsonl",
}
"""The suffix of each format's file; the default stem is the recipe's name."""

REASONED = "Think step by step, then give the answer."
ANSWERED = "Give the answer."
REFUTED = "Say why the option named under Refute is wrong."


def export_examples(examples: Examples, form: Format, out: Path | None) -> Path:
    """Write examples in a format, and return the path.

    `out` is the file to write, by default one named after the recipe in the current folder. Raises
    UserError where the file exists, or the examples don't fit the format.
    """
    if not len(examples.frame):
        raise UserError("there are no examples to export")
    name = re.sub(r"\W+", "-", examples.plan["recipe"]).strip("-") or "examples"
    target = out or Path(name + FORMATS[form])
    if os.path.lexists(target):
        raise UserError(f"{target} is there already; nothing was changed. Name another with --out")
    target.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=target.parent, prefix=f".{target.name}-") as folder:
        draft = Path(folder) / target.name
        _WRITERS[form](examples, draft)
        draft.rename(target)
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


@dataclass(frozen=True, slots=True)
class InstructionPair:
    """An example as a prompt with its reply; `instruction` says what kind of reply is expected."""

    instruction: str
    prompt: str
    reply: str


@dataclass(frozen=True, slots=True)
class TaskWording:
    """Words examples of a task as prompts and replies; `labels` are a classification's classes."""

    task: str
    labels: Sequence[str]

    @classmethod
    def of(cls, plan: Mapping[str, Any]) -> TaskWording:
        """Make the wording for a plan. Raises UserError where examples lack the task's columns."""
        wording = cls(plan["task"], tuple(plan["labels"]))
        missing = [name for name in wording._needed() if name not in plan["columns"]]
        if missing:
            raise UserError(
                f"the examples have no column {missing[0]!r}, which chat and alpaca need; they "
                f"have {', '.join(plan['columns'])}. Export them as they are: --format jsonl"
            )
        return wording

    def turn(self, row: Mapping[str, Any]) -> InstructionPair:
        """Word an example: the prompt as for streamtrain's students; rationale and answer as reply.

        The answer is the row's `label`, else its gold answer; a row that refutes an option and has
        no label gets the rationale only. Raises UserError where there is no reply, or the answer
        is no option.
        """
        rationale = (row.get("rationale") or "").strip()
        refuted = row.get("refuted") if row.get("label") is None else None
        answer = None if refuted else self._answer(row)
        announced = None if answer is None else f"So the answer is: {answer}"
        reply = "\n".join(filter(None, [rationale, announced]))
        if not reply:
            raise UserError(f"example {row.get('id')} has neither a rationale nor an answer")
        instruction = REFUTED if refuted else REASONED if rationale else ANSWERED
        return InstructionPair(instruction, self._prompt(row, refuted), reply)

    def _needed(self) -> list[str]:
        stem = TASKS[self.task].stem
        return [stem, "choices"] if self.task == "multiple_choice" else [stem]

    def _prompt(self, row: Mapping[str, Any], refuted: str | None) -> str:
        if self.task == "multiple_choice":
            return prompt_text(row["question"], row["choices"], refuted=refuted)
        if self.task == "free_text":
            return f"Question: {row['question'].strip()}\nAnswer:"
        classes = f"Classes: {', '.join(self.labels)}\n" if self.labels else ""
        refute = f"Refute: {refuted}\n" if refuted else ""
        return f"Text: {row['text'].strip()}\n{classes}{refute}Answer:"

    def _answer(self, row: Mapping[str, Any]) -> str | None:
        gold = TASKS[self.task].answer or "answer"
        label = row.get("label")
        value = row.get(gold) if label is None else label
        if value is None or self.task != "multiple_choice":
            return None if value is None else str(value)
        options = row["choices"]
        if not isinstance(value, int) or not 0 <= value < len(options):
            raise UserError(
                f"example {row.get('id')}: its answer is {value!r}; expected an option's index, "
                f"from 0 to {len(options) - 1}"
            )
        return f"({option_letter(value)}) {options[value]}"


def as_chat(row: Mapping[str, Any], turn: InstructionPair) -> dict[str, Any]:
    """Convert to chat `messages`, as TRL, Axolotl and LLaMA-Factory read them."""
    messages = [
        {"role": "user", "content": turn.prompt},
        {"role": "assistant", "content": turn.reply},
    ]
    return {"id": row["id"], "messages": messages}


def as_alpaca(row: Mapping[str, Any], turn: InstructionPair) -> dict[str, Any]:
    """Convert to `instruction`, `input` and `output`, the columns of Alpaca."""
    return {
        "id": row["id"],
        "instruction": turn.instruction,
        "input": turn.prompt,
        "output": turn.reply,
    }
