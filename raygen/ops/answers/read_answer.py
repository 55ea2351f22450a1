"""The `read_answer` op: the answer and the rationale of any text, read as a completion is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pydantic import Field

from raygen.core import Reject, Row, Task
from raygen.core.answers import read_answer, read_free_answer
from raygen.ops.base import Columns, Context, Op, OpParams
from raygen.ops.common.options import label_type, require_options, training_label


class ReadAnswerParams(OpParams):
    """Reads the answer of a text: of a column `said`, of another model's replies, of a source.

    Emits the row with `rationale` (the text without its announcement), `predicted` and `label` (an
    option's index; a class or a free answer as text), `confidence` (how sure the reading is, 0 to
    1) and `answer_first` (the answer stands before its reasoning). Rejects a text that has
    `no_answer` that reads as exactly one option.
    """

    column: str = Field(min_length=1, description="the column with the text")


async def run(row: Row, params: ReadAnswerParams, ctx: Context) -> Sequence[Row | Reject]:
    """Return the row with what its text says, or its reject."""
    text = str(row.data[params.column] or "")
    columns = _read(text, row, ctx.task)
    if columns["predicted"] is None:
        what = "answer" if ctx.task.name == "free_text" else "option"
        return [Reject("no_answer", f"names no single {what}: {text[-80:]!r}")]
    return [row.child(ctx.node, 0, {**columns, "label": columns["predicted"]})]


def _read(text: str, row: Row, task: Task) -> dict[str, Any]:
    if task.name == "free_text":
        free = read_free_answer(text)
        return {
            "predicted": free.text,
            "rationale": free.rationale,
            "confidence": free.confidence,
            "answer_first": free.answer_first,
        }
    read = read_answer(text, task.options(row.data))
    return {
        "predicted": None if read.option is None else training_label(task, read.option),
        "rationale": read.rationale,
        "confidence": read.confidence,
        "answer_first": read.answer_first,
    }


def columns(params: ReadAnswerParams, task: Task) -> Columns:
    """Declare that it reads the text, and the options where there are any."""
    if task.name == "classification":
        require_options(task, "read_answer")
    options = {"choices"} if task.name == "multiple_choice" else set()
    return Columns(
        requires=frozenset({params.column, *options}),
        provides={
            "rationale": "string",
            "predicted": label_type(task),
            "label": label_type(task),
            "confidence": "number",
            "answer_first": "boolean",
        },
    )


OP = Op("read_answer", 1, ReadAnswerParams, run, columns)
