"""Whatever stands in the log of a table: an entry whose values have their types, or an error."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

from raygen.dataset.log import read_entry
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from tests.fuzz.cases import cases
from tests.fuzz.strategies import as_json, damaged, files, hostile, values

LOG = "examples/_delta_log"
COMMIT: list[dict[str, Any]] = [
    {"commitInfo": {"timestamp": 1, "mark": "m", "wal": json.dumps(
        {"kind": "block", "plan": "p", "run": "r", "meta": {}})}},
    {"add": {"path": "part-1.parquet", "size": 10, "dataChange": True, "partitionValues": {},
             "modificationTime": 1, "stats": json.dumps({"numRecords": 3})}},
    {"add": {"path": "part-2.parquet", "size": 10, "dataChange": False, "stats": "{}"}},
    {"remove": {"path": "part-0.parquet", "dataChange": True}},
]  # fmt: skip
paths = st.sampled_from(
    ["../../x", "/etc/passwd", "a%2f..%2f..%2fx", "s3://b/x", "", "\0", "x" * 5000]
)
commits = damaged(COMMIT, values | hostile | paths)


def write_log(folder: Path, content: bytes, version: int = 0) -> None:
    (folder / LOG).mkdir(parents=True, exist_ok=True)
    (folder / LOG / f"{version:020d}.json").write_bytes(content)


def lines_of(commit: list[Any]) -> bytes:
    return b"\n".join(map(as_json, commit))


@cases("logs", st.one_of(commits.map(lines_of), files), vary=(0,))
def test_any_commit(tmp_path: Path, content: bytes) -> None:
    write_log(tmp_path, content)
    try:
        entry = read_entry(Folder.at(tmp_path), "examples", 0)
    except DatasetError as error:
        assert "commit" in str(error)
        return
    assert entry is not None
    assert isinstance(entry.at, float)
    assert entry.mark is None or isinstance(entry.mark, str)
    for file in entry.added:
        assert isinstance(file.path, str)
        assert isinstance(file.size, int)
        assert isinstance(file.rows, int)
        assert min(file.size, file.rows) >= 0
    assert all(isinstance(path, str) for path in (*entry.removed, *entry.merged))
