"""A dataset, and any Delta table, as the source of another recipe."""

import json
from pathlib import Path

import polars as pl
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
