"""Write finished rows as Parquet files and a `WrittenBlock`: the worker's half of a commit.

Knows nothing of commits: until the driver commits the block its files belong to nothing.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import fields, replace
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from raygen.core import ColumnType
from raygen.dataset.records import (
    EXAMPLES,
    TRANSCRIPTS,
    Call,
    DataFile,
    LedgerLine,
    RejectedRow,
    RowResult,
    WrittenBlock,
    paid_tokens,
    reported_usage,
)
from raygen.dataset.schema import example_table, transcript_table
from raygen.dataset.storage import Folder, storage_errors


def write_block(
    folder: Folder,
    results: Sequence[RowResult],
    plan_hash: str,
    columns: Mapping[str, ColumnType],
) -> WrittenBlock:
    """Write the examples and transcripts of finished rows; two files at most.

    A row with a value that its column can't hold becomes a failed one, with that error; the rest
    of the block stays as it is. Raises DatasetError when the files can't be written.

    Args:
        folder: the dataset's.
        results: the rows, all of one plan.
        plan_hash: that plan's.
        columns: the types of the examples' columns, without the identity columns.
    """
    results = [_held(result, plan_hash, columns) for result in results]
    examples = example_table(
        ((result.key, example) for result in results for example in result.examples),
        plan_hash,
        columns,
    )
    calls = transcript_table(
        ((result.key, call) for result in results for call in result.calls), plan_hash
    )
    example_file = write_table(folder, EXAMPLES, examples) if examples.num_rows else None
    call_file = write_table(folder, TRANSCRIPTS, calls) if calls.num_rows else None
    transcript = call_file.path if call_file else None
    lines = tuple(_line(result, transcript) for result in results)
    paid = paid_tokens(call for result in results for call in result.calls)
    reported = reported_usage(call for result in results for call in result.calls)
    return WrittenBlock(plan_hash, example_file, call_file, lines, paid, reported)


def write_table(folder: Folder, table: str, data: pa.Table) -> DataFile:
    """Write one Parquet file of a table under a fresh name. Raises DatasetError."""
    sink = pa.BufferOutputStream()
    pq.write_table(data, sink, compression="zstd")
    content = sink.getvalue().to_pybytes()
    name = f"{uuid.uuid4().hex}.parquet"
    with storage_errors(f"write {len(content)} bytes", folder.join(table, name)):
        folder.write_bytes(f"{table}/{name}", content)
    return DataFile(name, len(content), data.num_rows)


def _line(result: RowResult, transcript: str | None) -> LedgerLine:
    paid = [call for call in result.calls if not call.reused]
    reused = [call for call in result.calls if call.reused]
    return LedgerLine(
        key=result.key,
        status=result.status,
        examples=len(result.examples),
        calls=len(result.calls),
        prompt_tokens=sum(call.prompt_tokens for call in paid),
        output_tokens=sum(call.output_tokens for call in paid),
        seconds=result.seconds,
        rejects=result.rejects,
        error=result.error,
        transcript=transcript if result.calls else None,
        nodes=json.dumps(result.node_counts),
        reused=len(reused),
        saved_tokens=sum(call.prompt_tokens + call.output_tokens for call in reused),
        retryable=result.retryable,
    )


def _held(result: RowResult, plan: str, columns: Mapping[str, ColumnType]) -> RowResult:
    """Return the result if the tables can hold it, else a failed result that they can hold."""
    try:
        example_table([(result.key, example) for example in result.examples], plan, columns)
    except (pa.ArrowException, TypeError, ValueError) as error:
        problem = f"an example doesn't fit the dataset's columns: {error}"
        result = replace(result, status="failed", examples=(), error=problem)
    texts = [result.error, *(text for reject in result.rejects for text in _texts(reject))]
    texts += [text for call in result.calls for text in _texts(call)]
    if all(map(_encodes, texts)):
        return result
    return replace(
        result,
        error=_encodable(result.error),
        rejects=tuple(_repaired(reject) for reject in result.rejects),
        calls=tuple(_repaired(call) for call in result.calls),
    )


def _texts(record: RejectedRow | Call) -> list[Any]:
    return [getattr(record, field.name) for field in fields(record)]


def _repaired(record: Any) -> Any:
    """Write the lone surrogates of a record, which no file can hold, as escapes."""
    return replace(
        record, **{field.name: _encodable(getattr(record, field.name)) for field in fields(record)}
    )


def _encodable(value: Any) -> Any:
    return value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value


def _encodes(value: Any) -> bool:
    if not isinstance(value, str):
        return True
    try:
        value.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
