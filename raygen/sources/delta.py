"""A Delta table as a source: a dataset that raygen wrote, or any other.

Rows come in the order of their ids where they have some: the order in which a dataset's rows were
committed is no part of it. Knows nothing of keys, tasks or column mappings.
"""

from __future__ import annotations

import json
from typing import Any

from raygen.core import ColumnType
from raygen.dataset import EXAMPLES, DatasetError, Folder, scan_table
from raygen.sources.rows import SourceError, SourceFile

_LOG = "_delta_log"


def find_delta_table(path: str) -> str | None:
    """Return the Delta table in a folder: the folder itself, a dataset's examples, or None."""
    folder = Folder.at(path)
    if folder.exists(f"{EXAMPLES}/{_LOG}"):
        return folder.join(EXAMPLES)
    return folder.join() if folder.exists(_LOG) else None


def read_delta(table: str) -> SourceFile:
    """Return the rows of a Delta table as it is now. Raises SourceError."""
    import polars as pl

    from raygen.sources.arrow import from_arrow

    folder = Folder.at(table)
    try:
        frame = scan_table(folder).collect()
        source = from_arrow(table, frame.to_arrow(compat_level=pl.CompatLevel.oldest()))
        nested = _nested(table) if _is_ours(table) else set()
    except (DatasetError, OSError, pl.exceptions.PolarsError) as error:
        raise SourceError(f"can't read the table {table}: {error}") from error
    # What a dataset's rows are doesn't hang on the plan that made them.
    left_out = {"plan"} if _is_ours(table) else set()
    rows = [{k: v for k, v in row.items() if k not in left_out} for row in source.rows]
    if "id" in source.types:
        rows.sort(key=lambda row: str(row["id"]))
    for row in rows:
        for name in nested & row.keys():
            row[name] = None if row[name] is None else json.loads(row[name])
    types: dict[str, ColumnType] = {
        name: "json" if name in nested else kind
        for name, kind in source.types.items()
        if name not in left_out
    }
    return SourceFile(table, "row", types, range(1, len(rows) + 1), rows)


def _is_ours(table: str) -> bool:
    """Tell whether it is the examples of a dataset."""
    return table.rstrip("/").endswith(f"/{EXAMPLES}")


def _nested(table: str) -> set[str]:
    """Return the columns that hold JSON as text, as the plan beside a dataset's tables says."""
    dataset_folder = Folder.at(table.rstrip("/").removesuffix(f"/{EXAMPLES}"))
    if not dataset_folder.exists("plan.json"):
        return set()
    plan: dict[str, Any] = json.loads(dataset_folder.read_text("plan.json"))
    return {name for name, kind in plan["columns"].items() if kind == "json"}
