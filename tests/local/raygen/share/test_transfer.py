"""push and pull: to a folder, and to any filesystem; `datasets` reads what was pushed."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import polars as pl
import pytest
import yaml
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from raygen.inspection.opened import open_dataset
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.share.layout import stage_dataset
from raygen.share.locations import parse_location
from raygen.share.transfer import Pushed, pull, push, upload_share
from tests.support.shared_dataset import RECIPE, ROWS, lock, write_dataset

SHARD = "data/train-00000-of-00001-{}.parquet"


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    return write_dataset(tmp_path_factory.mktemp("made"), keys=range(ROWS))


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Another recipe's, with fewer rows."""
    recipe = RECIPE.replace("n: 2", "n: 3")
    return write_dataset(tmp_path_factory.mktemp("other"), recipe=recipe, keys=[0])


def pushed(folder: Folder, reference: str) -> Pushed:
    return push(folder.uri, reference, public=False, tell=lambda _: None)


def content(folder: Folder) -> str:
    dataset = Dataset.open(folder)
    return dataset.content_hash(dataset.status().plan)


def load(*path: str, home: Path, **options: Any) -> Any:
    import datasets

    return datasets.load_dataset(*path, split="train", cache_dir=str(home / "cache"), **options)


def test_a_folder_has_it_in_the_hubs_layout(dataset: Folder, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf" / "small"
    done = pushed(dataset, str(shelf))
    files = {p.relative_to(shelf).as_posix() for p in shelf.rglob("*") if p.is_file()}
    shard = SHARD.format(content(dataset))
    assert files == {"README.md", "plan.json", "raygen.json", "recipe.yaml", shard}
    assert (done.examples, done.content) == (9, content(dataset))
    read = load(str(shelf), home=tmp_path)
    assert read.num_rows == 9
    assert read[0]["choices"] == ["fire", "snow", "tea"]
    assert read["id"] == sorted(read["id"])
    assert str(tmp_path) not in (shelf / "README.md").read_text()


def test_a_pulled_dataset_equals_the_pushed_one_and_its_recipe_applies(
    dataset: Folder, tmp_path: Path
) -> None:
    pushed(dataset, str(tmp_path / "small"))
    done = pull(str(tmp_path / "small"), tmp_path / "back")
    assert (done.manifest.content, done.missing) == (content(dataset), "q.jsonl")
    (tmp_path / "back" / "q.jsonl").write_bytes(Path(dataset.uri, "../q.jsonl").read_bytes())
    prepared = prepare(RecipeRequest(tmp_path / "back"))
    assert prepared.plan.hash == done.manifest.plan
    assert prepared.recipe.train is None  # its held-out questions are not there
    assert prepared.output == str(tmp_path / "back" / "out")


def test_with_its_source_it_is_all_that_the_recipe_needs(dataset: Folder, tmp_path: Path) -> None:
    shelf, source = str(tmp_path / "small"), Path(dataset.uri).parent / "q.jsonl"
    done = push(dataset.uri, shelf, public=False, tell=lambda _: None, source=source)
    assert done.notes == ()
    assert "which isn't part of this" not in Path(shelf, "README.md").read_text()
    back = pull(shelf, tmp_path / "back")
    assert back.missing is None
    assert prepare(RecipeRequest(back.folder)).plan.hash == back.manifest.plan
    with source.open() as rows:
        (tmp_path / "q.jsonl").write_text(next(rows))
    with pytest.raises(UserError, match="3 of the dataset's 4 rows come from no row of it"):
        push(dataset.uri, shelf, public=False, tell=lambda _: None, source=tmp_path / "q.jsonl")
    with pytest.raises(UserError, match=r"can't stand for q\.jsonl"):
        push(dataset.uri, shelf, public=False, tell=lambda _: None, source=Path(shelf, "plan.json"))


def test_the_source_of_unlabelled_rows_is_pushed_as_it_is(tmp_path: Path) -> None:
    recipe = RECIPE.replace("license: MIT", "license: MIT, unlabelled: true")
    recipe = recipe.replace(
        "  negatives: {op: negative_view, from: source, engine: teacher, emit: each}\n", ""
    )
    recipe = recipe.replace("predicted == answer", "predicted == 1").replace(
        "[right, negatives]", "right"
    )
    folder = write_dataset(tmp_path / "made", recipe=recipe, answer=None)
    shelf, source = str(tmp_path / "small"), tmp_path / "made" / "q.jsonl"
    push(folder.uri, shelf, public=False, tell=lambda _: None, source=source)
    assert Path(shelf, "q.jsonl").read_bytes() == source.read_bytes()


def test_a_second_push_deletes_the_former_data(
    dataset: Folder, other: Folder, tmp_path: Path
) -> None:
    shelf = tmp_path / "small"
    pushed(dataset, str(shelf))
    (shelf / "README.md").write_text("as its owner likes it\n")
    pull(str(shelf), tmp_path / "back")  # a card may be edited
    pushed(other, str(shelf))
    shard = SHARD.format(content(other))
    assert [path.name for path in (shelf / "data").iterdir()] == [Path(shard).name]
    assert load(str(shelf), home=tmp_path).num_rows == 3


def rows_of_card(shelf: str) -> int:
    """The number of rows in the files that the card names, as a hub or `datasets` finds them."""
    header = yaml.safe_load(Path(shelf, "README.md").read_text().split("---")[1])
    (files,) = header["configs"][0]["data_files"]
    return sum(pl.scan_parquet(path).collect().height for path in Path(shelf).glob(files["path"]))


class Cut:
    """A stand-in for a filesystem whose connection breaks after so many files."""

    def __init__(self, filesystem: Any, files: int) -> None:
        self._filesystem, self._left = filesystem, files

    def __getattr__(self, name: str) -> Any:
        return getattr(self._filesystem, name)

    def put_file(self, source: str, target: str) -> None:
        self._left -= 1
        if self._left < 0:
            raise OSError("the line went dead")
        self._filesystem.put_file(source, target)


@pytest.mark.parametrize(
    "files",
    [2, *(pytest.param(files, marks=pytest.mark.slow) for files in (0, 1, 3, 4))],
)
def test_a_push_that_was_cut_short_is_never_half_read(
    dataset: Folder, other: Folder, tmp_path: Path, files: int
) -> None:
    shelf = str(tmp_path / "small")
    pushed(dataset, shelf)
    (tmp_path / "draft").mkdir()
    share = stage_dataset(open_dataset(other), tmp_path / "draft", None, '"small"')
    location = parse_location(shelf)
    with pytest.raises(DatasetError, match="the line went dead"):
        upload_share(share, replace(location, filesystem=Cut(location.filesystem, files)))
    assert rows_of_card(shelf) == (3 if files == 4 else 9)
    if files > 1:
        with pytest.raises(DatasetError, match=r"is not what raygen\.json says; either a push is"):
            pull(shelf, tmp_path / "back")
        assert not (tmp_path / "back").exists()
        assert list(tmp_path.glob(".back*")) == []
    pushed(other, shelf)
    assert pull(shelf, tmp_path / "back").manifest.examples == 3


def test_a_folder_of_others_is_left_alone(dataset: Folder, tmp_path: Path) -> None:
    (tmp_path / "thesis.tex").write_text("x")
    with pytest.raises(UserError, match=r"other files \(thesis\.tex\)"):
        pushed(dataset, str(tmp_path))
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.tex"]


def test_the_dataset_of_another_recipe_is_left_alone(dataset: Folder, tmp_path: Path) -> None:
    shelf = tmp_path / "shelf"
    push(dataset.uri, str(shelf), public=False, tell=lambda _: None)
    manifest = (shelf / "raygen.json").read_text()
    renamed = RECIPE.replace("recipe: ", "recipe: other-", 1)
    other = write_dataset(tmp_path / "other", recipe=renamed)
    with pytest.raises(UserError, match=r"this one is of 'other-.*nothing was pushed"):
        push(other.uri, str(shelf), public=False, tell=lambda _: None)
    assert (shelf / "raygen.json").read_text() == manifest


def test_what_is_no_shared_dataset_is_not_pulled(dataset: Folder, tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match=r"it has no raygen\.json"):
        pull(str(tmp_path), tmp_path / "back")
    shelf = tmp_path / "small"
    pushed(dataset, str(shelf))
    with pytest.raises(UserError, match=r"can't become a folder of its own.*nothing was changed"):
        pull(str(shelf), shelf)
    listed = json.loads((shelf / "raygen.json").read_text())
    listed["files"]["../../elsewhere"] = "0"
    (shelf / "raygen.json").write_text(json.dumps(listed))
    with pytest.raises(DatasetError, match="outside of it"):
        pull(str(shelf), tmp_path / "back")
    (shelf / "raygen.json").write_text('{"version": 9}')
    with pytest.raises(DatasetError, match="version 9; this raygen reads version 2"):
        pull(str(shelf), tmp_path / "back")


def test_a_reference_that_is_none(dataset: Folder, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="expected hf://datasets/OWNER/NAME"):
        pushed(dataset, "hf://small")
    with pytest.raises(UserError, match="Protocol not known: ftpx"):
        pushed(dataset, "ftpx://small")


def test_any_filesystem_will_do(dataset: Folder, tmp_path: Path) -> None:
    location = f"memory://{uuid4().hex}/small"
    pushed(dataset, location)
    assert pull(location, tmp_path / "back").manifest.content == content(dataset)


def test_its_lock_goes_along(dataset: Folder, tmp_path: Path) -> None:
    folder = write_dataset(tmp_path)
    folder.write_text("recipe.lock.yaml", lock())
    pushed(folder, str(tmp_path / "shelf"))
    back = pull(str(tmp_path / "shelf"), tmp_path / "back").folder
    assert (back / "recipe.lock.yaml").read_text() == lock()
    assert "recipe.yaml --locked --out again" in (back / "README.md").read_text()


def test_the_commands_say_what_comes_next(dataset: Folder, tmp_path: Path) -> None:
    shelf, back = str(tmp_path / "small"), str(tmp_path / "back")
    output = CliRunner().invoke(main, ["push", dataset.uri, shelf]).output
    assert f"9 examples of small questions in {shelf}\n" in output
    assert "Note: the recipe reads q.jsonl, which isn't pushed" in output
    assert f'datasets.load_dataset("{shelf}", split="train")' in output
    output = CliRunner().invoke(main, ["pull", shelf, back]).output
    assert "put q.jsonl beside it" in output
    assert f"raygen apply {back}/recipe.yaml" in output
    answer = CliRunner().invoke(main, ["pull", shelf, f"{back}2", "--json"]).output
    assert json.loads(answer)["examples"] == 9
