"""Builders of row results, blocks and committers for the dataset's tests."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from raygen.core.row import ColumnType, Status
from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset
from raygen.dataset.records import Call, RejectedRow, RowResult, WrittenBlock
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block

COLUMNS: Mapping[str, ColumnType] = {
    "question": "string",
    "choices": "strings",
    "answer": "integer",
}


def call(key: str, tokens: int = 5) -> Call:
    return Call(
        id=f"call-{key}",
        node="think",
        row=f"row-{key}",
        engine="teacher",
        model="tiny",
        revision=None,
        kind="generate",
        prompt=f"Why {key}?",
        sampling="{}",
        completions="[]",
        prompt_tokens=10,
        output_tokens=tokens,
        seconds=0.1,
    )


def example(key: str, k: int = 0, **columns: Any) -> dict[str, Any]:
    base = {"question": f"Q {key}", "choices": ["yes", "no"], "answer": 0}
    return {"id": f"{key}-{k}", "node": "think", **base, **columns}


def result(key: str, status: Status = "kept", examples: int = 2, **changes: Any) -> RowResult:
    fields: dict[str, Any] = {
        "key": key,
        "status": status,
        "examples": tuple(example(key, k) for k in range(examples if status == "kept" else 0)),
        "rejects": (RejectedRow("think", "wrong_answer", f"of {key}"),),
        "calls": (call(key),),
        "error": "boom" if status == "failed" else None,
        "seconds": 0.5,
        "node_counts": {"think": (1, examples, 1)},
    }
    return RowResult(**{**fields, **changes})


def block(
    folder: Folder, keys: Iterable[str], plan: str = "plan-a", **changes: Any
) -> WrittenBlock:
    columns = changes.pop("columns", COLUMNS)
    return write_block(folder, [result(key, **changes) for key in keys], plan, columns)


def committer(folder: Folder, run: str = "run-1", plan: str = "plan-a", **kwargs: Any) -> Committer:
    columns = kwargs.pop("columns", COLUMNS)
    meta = {"source": kwargs.pop("source", 100), **kwargs.pop("meta", {})}
    made = Committer(folder, plan, columns, run)
    made.start(meta, **kwargs)
    return made


def contents(folder: Folder) -> tuple[list[str], list[str], list[str]]:
    """The sorted keys of the ledger, of the examples and of the transcripts."""
    dataset = Dataset(folder)
    frames = (dataset.ledger(), dataset.examples(), dataset.transcripts())
    ledger, examples, transcripts = (
        sorted(frame.select("key").collect()["key"].to_list()) for frame in frames
    )
    return ledger, examples, transcripts
