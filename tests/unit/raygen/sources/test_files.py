"""A dataset, and any Delta table, as the source of another recipe."""

import bz2
import gzip
import json
import shutil
from pathlib import Path

import polars as pl
import pyarrow as pa
import pytest

from raygen.sources.files import find_delta_table, read_source
from raygen.sources.rows import SourceError
from tests.support.stored_plans import stored_plan


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    folder = tmp_path / "made"
    examples = pl.DataFrame(
        {
            "id": ["b", "a", "c"],
            "key": ["2", "1", "3"],
            "plan": ["p", "p", "p"],
            "node": ["n", "n", "n"],
            "rationale": ["two", "one", None],
            "votes": ['{"A": 2}', "[1]", None],
        }
    )
    examples.write_delta(str(folder / "examples"))
    (folder / "plan.json").write_text(json.dumps(stored_plan("p", columns={"votes": "json"})))
    return folder


@pytest.mark.parametrize("path", ["made", "made/examples"])
def test_a_dataset_is_read_in_the_order_of_its_ids(dataset: Path, path: str) -> None:
    (source,) = read_source(path, dataset.parent)
    assert [row["rationale"] for row in source.rows] == ["one", "two", None]
    assert [row["votes"] for row in source.rows] == [[1], {"A": 2}, None]
    assert source.types["votes"] == "json"
    assert "plan" not in source.types
    assert "plan" not in source.rows[0]


def test_rows_that_were_taken_out_are_not_read(dataset: Path) -> None:
    pl.DataFrame({"x": [1]}).write_delta(str(dataset.parent / "plain"))
    pl.DataFrame({"x": [2]}).write_delta(str(dataset.parent / "plain"), mode="overwrite")
    (source,) = read_source("plain", dataset.parent)
    assert source.rows == [{"x": 2}]


def test_a_folder_without_a_table_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert find_delta_table(str(tmp_path / "empty")) is None
    with pytest.raises(SourceError, match="a folder without a dataset"):
        read_source("empty", tmp_path)


@pytest.mark.parametrize("path", ["made", "made/examples"])
@pytest.mark.parametrize("what", ["file", "log entry", "log", "table", "absolute", "parents"])
def test_a_dataset_leads_to_no_file_elsewhere(
    dataset: Path, tmp_path: Path, path: str, what: str
) -> None:
    """A stranger's dataset as a source: what lies behind a link, or a name that leads out, isn't
    its own."""
    table, mine = dataset / "examples", tmp_path / "mine.parquet"
    (data,), (entry,) = table.glob("*.parquet"), (table / "_delta_log").glob("*.json")
    shutil.copy(data, mine)  # of the size that the log has
    if what in ("absolute", "parents"):
        name = f"file://{mine}" if what == "absolute" else "../../mine.parquet"
        entry.write_text(entry.read_text().replace(data.name, name))
    elif what == "file":
        data.unlink()
        data.symlink_to(mine)
    else:
        moved = {"log entry": entry, "log": entry.parent, "table": table}[what]
        moved.rename(tmp_path / "elsewhere")
        moved.symlink_to(tmp_path / "elsewhere")
    with pytest.raises(SourceError) as raised:
        read_source(path, tmp_path)
    assert "can't read the table" in str(raised.value) or "can't reach" in str(raised.value)


def test_a_folder_that_is_reached_by_a_link_is_read(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "linked").symlink_to(dataset)
    (source,) = read_source("linked", tmp_path)
    assert len(source.rows) == 3


def packed(name: str, content: bytes) -> bytes:
    if name.endswith(".zst"):
        sink = pa.BufferOutputStream()
        with pa.CompressedOutputStream(sink, "zstd") as file:
            file.write(content)
        return sink.getvalue().to_pybytes()
    return {"gz": gzip.compress, "bz2": bz2.compress}[name.rpartition(".")[2]](content)


@pytest.mark.parametrize("end", ["gz", "bz2", "zst"])
def test_packed_files_are_unpacked(tmp_path: Path, end: str) -> None:
    (tmp_path / f"q.jsonl.{end}").write_bytes(packed(end if end != "zst" else ".zst", b'{"a": 1}'))
    (tmp_path / f"q.csv.{end}").write_bytes(packed(end if end != "zst" else ".zst", b"a\n1\n"))
    assert read_source(f"q.jsonl.{end}", tmp_path)[0].rows == [{"a": 1}]
    assert read_source(f"q.csv.{end}", tmp_path)[0].rows == [{"a": "1"}]


def test_rows_in_an_object(tmp_path: Path) -> None:
    (tmp_path / "q.json").write_text('{"version": 1, "examples": [{"a": 1}, {"a": 2}]}')
    assert read_source("q.json", tmp_path)[0].rows == [{"a": 1}, {"a": 2}]
    (tmp_path / "one.json").write_text('{"choices": [{"a": 1}, {"a": 2}]}')
    assert len(read_source("one.json", tmp_path)[0].rows) == 1
