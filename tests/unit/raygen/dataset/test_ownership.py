"""Which folders may be written to: new, empty, or ours by what was written into them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from deltalake import write_deltalake

from raygen.dataset.commit import Committer
from raygen.dataset.ownership import (
    DATASET,
    TRAINING_RUN,
    FolderKind,
    check_writable,
    is_nobodys,
)
from raygen.dataset.reader import Dataset
from raygen.dataset.records import DatasetError
from raygen.dataset.storage import Folder
from tests.support.dataset_records import COLUMNS, block, committer

STORED = Path(__file__).parents[3] / "data"
NOBODYS = FolderKind("a copy", is_nobodys)


def check(folder: Folder | Path, kind: FolderKind = DATASET) -> None:
    check_writable(folder if isinstance(folder, Folder) else Folder.at(folder), kind, "--out DIR")


def snapshot(folder: Path) -> dict[str, bytes | str | None]:
    """Everything that lies in a folder: files with their content, links with their targets."""
    return {
        path.relative_to(folder).as_posix(): str(path.readlink())
        if path.is_symlink()
        else (path.read_bytes() if path.is_file() else None)
        for path in sorted(folder.rglob("*"))
    }


def user_files(folder: Path) -> None:
    """A user's own folder, whose names are those of a dataset's."""
    for name in ("examples/demo.py", "rows/x", "transcripts/y", "recipe.yaml", "source/q.jsonl"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("mine\n")


@pytest.fixture(params=["local", "object store"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Folder:
    if request.param == "local":
        return Folder.at(tmp_path / "out")
    (tmp_path / "out").mkdir()
    return Folder(f"file://{tmp_path}/out")


@pytest.mark.parametrize("kind", [DATASET, TRAINING_RUN, NOBODYS])
def test_a_new_folder_and_an_empty_one_may_be_written_to(kind: FolderKind, tmp_path: Path) -> None:
    check(tmp_path / "new" / "deeper", kind)
    check(tmp_path, kind)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", [DATASET, TRAINING_RUN, NOBODYS])
def test_a_users_folder_is_refused_with_what_was_found_and_what_to_do(
    folder: Folder, kind: FolderKind
) -> None:
    path = Path(folder.uri.removeprefix("file://"))
    user_files(path)
    before = snapshot(path)
    with pytest.raises(
        DatasetError,
        match=r"other files \(examples/, recipe\.yaml, rows/, source/, transcripts/\).*--out DIR",
    ) as error:
        check(folder, kind)
    assert error.value.exit_code == 2
    assert snapshot(path) == before


@pytest.mark.parametrize("name", ["examples/demo.py", "rows/x", "recipe.yaml", "logs/app.log"])
def test_one_file_of_the_users_is_enough(name: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine\n")
    with pytest.raises(DatasetError, match="other files"):
        check(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("mine\n")
    for path in (tmp_path / "out", tmp_path / "out" / "below"):
        with pytest.raises(DatasetError, match="is a file"):
            check(path)


def test_a_strangers_table_named_rows_is_no_ledger(tmp_path: Path) -> None:
    import pyarrow as pa

    write_deltalake(str(tmp_path / "rows"), pa.table({"key": ["a"], "plan": ["b"]}))
    with pytest.raises(DatasetError, match="other files"):
        check(tmp_path)


def test_a_dataset_is_ours_and_nothing_else(folder: Folder) -> None:
    committer(folder).commit([block(folder, ["a"])])
    folder.write_text("notes.md", "of the user's")
    check(folder)
    with pytest.raises(DatasetError, match="it holds a dataset of raygen"):
        check(folder, TRAINING_RUN)


def test_what_version_0_1_0_wrote_is_ours() -> None:
    check(STORED / "dataset-0.1.0" / "out")
    check(STORED / "run-0.1.0" / "student", TRAINING_RUN)
    with pytest.raises(DatasetError, match="it holds a training run"):
        check(STORED / "run-0.1.0" / "student")


RUNS: dict[str, Callable[[Path], None]] = {
    "owner": lambda run: (run / "owner").write_text("0123456789ab"),
    "draft": lambda run: (run / ".owner.tmp").write_text("0123"),
    "result": lambda run: (run / "result.json").write_text(
        json.dumps({"version": 1, "student": "s", "steps": 3, "checkpoint": "c"})
    ),
}


@pytest.mark.parametrize("mark", RUNS)
def test_a_training_run_is_known_by_its_marks(mark: str, tmp_path: Path) -> None:
    RUNS[mark](tmp_path)
    check(tmp_path, TRAINING_RUN)


@pytest.mark.parametrize("name", ["owner", "result.json", "metrics.jsonl", "checkpoints/latest"])
@pytest.mark.parametrize("text", ["", "jan\n", "{}", '{"student": 3', "[" * 100_000, '{"a": 1}'])
def test_a_name_alone_is_no_mark(name: str, text: str, tmp_path: Path) -> None:
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text(text)
    (tmp_path / "mine.py").write_text("")
    with pytest.raises(DatasetError, match="other files"):
        check(tmp_path, TRAINING_RUN)


def test_a_part_that_is_a_link_is_refused(tmp_path: Path) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    committer(Folder.at(out)).commit([block(Folder.at(out), ["a"])])
    shutil.move(out / "examples", elsewhere)
    (out / "examples").symlink_to(elsewhere)
    with pytest.raises(DatasetError, match=r"examples is a link.*Put a folder there"):
        check(out)
    with pytest.raises(DatasetError, match="is a link"):
        committer(Folder.at(out), "run-2")


def test_the_folder_itself_may_be_reached_by_a_link(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir()
    (tmp_path / "out").symlink_to(tmp_path / "disk")
    folder = Folder.at(tmp_path / "out")
    committer(folder).commit([block(folder, ["a"])])
    check(folder)


class Killed(BaseException):
    """The process dies here."""


def test_a_first_start_that_is_killed_anywhere_can_be_made_again(
    folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Killed before each write, one after the other, until a start gets through."""
    from deltalake import DeltaTable

    real_write, real_create = Folder.write_bytes, DeltaTable.create
    left = 0

    def count() -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    def write(self: Folder, path: str, data: bytes) -> None:
        count()
        real_write(self, path, data)

    def create(*args: object, **kwargs: object) -> object:
        count()
        return real_create(*args, **kwargs)  # type: ignore[arg-type]

    monkeypatch.setattr(Folder, "write_bytes", write)
    monkeypatch.setattr(DeltaTable, "create", create)
    for steps in range(40):
        left = steps
        check(folder)
        try:
            folder.write_bytes(f"source/{'ab' * 16}.parquet", b"keyed")
            run = Committer(folder, "plan-a", COLUMNS, f"run-{steps}")
            run.start({"source": 1})
            run.commit([block(folder, ["a"])])
            break
        except Killed:
            continue
    else:
        pytest.fail("no start got through")
    assert steps >= 5
    assert Dataset(folder).extent() == (1, 2)


def test_a_student_that_waits_for_its_dataset_is_no_hindrance(tmp_path: Path) -> None:
    (tmp_path / "student").mkdir()
    check(tmp_path)
    (tmp_path / "student" / "owner").write_text("0123456789ab")
    check(tmp_path)
    (tmp_path / "student" / "owner").write_text("jan")
    with pytest.raises(DatasetError, match="other files"):
        check(tmp_path)
