from __future__ import annotations

import json
import pickle
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.core.row import ColumnType
from raygen.dataset.records import DatasetError, RejectedRow
from raygen.dataset.storage import Folder
from raygen.dataset.writer import write_block
from tests.support.dataset_records import example, result
from tests.support.generated import fewer_examples

EVERY: dict[str, ColumnType] = {
    "text": "string",
    "count": "integer",
    "share": "number",
    "right": "boolean",
    "options": "strings",
    "extra": "json",
}


@pytest.fixture
def folder(tmp_path: Path) -> Folder:
    return Folder.at(tmp_path)


def test_each_type_goes_in_and_out(folder: Folder) -> None:
    columns: dict[str, Any] = {
        "text": "é",
        "count": 2**40,
        "share": 1,
        "right": True,
        "options": ["a", "b"],
        "extra": {"scores": [0.5, None]},
    }
    rows = (example("a", **columns), {"id": "a-1", "node": "think", "unplanned": 1})
    kept = replace(result("a"), examples=rows)
    block = write_block(folder, [kept], "p", EVERY)
    assert block.examples is not None
    first, second = folder.read_parquet(f"examples/{block.examples.path}").to_pylist()
    extra = json.loads(first.pop("extra"))
    assert extra == {"scores": [0.5, None]}
    columns.pop("extra")
    assert first == {"id": "a-0", "key": "a", "plan": "p", "node": "think", **columns}
    assert second == {**dict.fromkeys(EVERY), "id": "a-1", "key": "a", "plan": "p", "node": "think"}


def test_a_block_is_small_and_says_where_its_rows_are(folder: Folder) -> None:
    block = write_block(folder, [result("a"), result("b", "failed", calls=())], "p", EVERY)
    assert pickle.loads(pickle.dumps(block)) == block  # noqa: S301
    assert block.examples is not None
    assert block.transcripts is not None
    assert (block.examples.rows, block.transcripts.rows) == (2, 1)
    path = Path(folder.uri) / "examples" / block.examples.path
    assert path.stat().st_size == block.examples.size
    assert [line.transcript for line in block.lines] == [block.transcripts.path, None]
    assert [line.error for line in block.lines] == [None, "boom"]
    assert json.loads(block.lines[0].nodes) == {"think": [1, 2, 1]}


def test_no_rows_no_files(folder: Folder) -> None:
    block = write_block(folder, [result("a", "dropped", calls=())], "p", EVERY)
    assert (block.examples, block.transcripts) == (None, None)
    assert list(Path(folder.uri).iterdir()) == []


@pytest.mark.parametrize(
    "bad",
    [
        {"count": "many"},
        {"count": 1.5},
        {"count": True},
        {"options": "ab"},
        {"text": 3},
        {"text": "\ud83d"},
        {"extra": {1, 2}},
    ],
)
def test_a_value_that_does_not_fit_fails_its_row_alone(folder: Folder, bad: dict[str, Any]) -> None:
    unfit = replace(result("c"), examples=(example("c", **bad),))
    block = write_block(folder, [result("a"), result("b", examples=0), unfit], "p", EVERY)
    assert [line.status for line in block.lines] == ["kept", "kept", "failed"]
    assert "doesn't fit the dataset's columns" in str(block.lines[2].error)
    assert block.examples is not None
    keys = folder.read_parquet(f"examples/{block.examples.path}")["key"].to_pylist()
    assert keys == ["a", "a"]


@fewer_examples(2)
@given(text=st.text(st.characters(codec=None, exclude_categories=())))
def test_any_text_of_an_engine_can_be_recorded(
    tmp_path_factory: pytest.TempPathFactory, text: str
) -> None:
    folder = Folder.at(tmp_path_factory.mktemp("out"))
    bad = result(
        "a",
        "failed",
        error=text,
        rejects=(RejectedRow("think", "r", text),),
    )
    block = write_block(folder, [bad], "p", EVERY)
    expected = text.encode("utf-8", "backslashreplace").decode()
    assert block.lines[0].error == expected
    assert block.lines[0].rejects[0].detail == expected


def test_a_folder_that_can_not_be_written_is_a_clear_error(tmp_path: Path) -> None:
    (tmp_path / "examples").write_text("in the way")
    with pytest.raises(DatasetError, match=r"can't write \d+ bytes in .*examples.*free space"):
        write_block(Folder.at(tmp_path), [result("a")], "p", EVERY)
