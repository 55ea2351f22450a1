"""A dataset whose store goes away while somebody looks at it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from raygen.dataset.commit import Committer
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from raygen.inspection.diff.recipes import describe_stored
from raygen.inspection.opened import OpenedDataset


class AwayFolder(Folder):
    """A folder whose store no longer answers whether a file is there."""

    def exists(self, path: str) -> bool:
        raise OSError(f"error performing HEAD {path}")


def recipe(dataset: OpenedDataset) -> Any:
    return describe_stored(dataset, {})


def source(dataset: OpenedDataset) -> Any:
    return dataset.source


@pytest.mark.parametrize(
    ("look", "message"),
    [(source, "look for the keyed source"), (recipe, "look for the recipe")],
)
def test_a_store_that_went_away_is_an_error_in_plain_words(
    tmp_path: Path, look: Callable[[OpenedDataset], Any], message: str
) -> None:
    Committer(Folder.at(tmp_path), "p", {}, "run").start({"source": 1, "source_file": "s.parquet"})
    dataset = OpenedDataset(Dataset(AwayFolder(str(tmp_path))), {"hash": "p"})
    with pytest.raises(DatasetError, match=f"can't {message} in .*: error performing HEAD"):
        look(dataset)
