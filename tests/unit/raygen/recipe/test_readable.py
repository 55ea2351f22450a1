"""What looking at a fetched recipe may read: what it needs and what the user named, no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.recipe.readable import listed_paths, readable_paths


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (".ssh/id_rsa", ".aws/credentials", "hub/token", "work/mine.jsonl", "data/q.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("x")
    (tmp_path / "work/out/quiz/rows/_delta_log").mkdir(parents=True)
    (tmp_path / "data/ops.py").touch()
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path


def readable(home: Path, *values: str, file: str = "", as_user: bool = False) -> set[str]:
    files = [Path(file)] if file else []
    paths = readable_paths([], values, files, as_user=as_user)
    assert not {home, home / "work"} & set(paths) or "*.jsonl" in values
    return {str(path.relative_to(home)) for path in paths if path.is_relative_to(home)}


def test_nothing_of_the_home_or_the_current_folder_but_datasets(home: Path) -> None:
    assert readable(home) == {"work/out/quiz"}


@pytest.mark.parametrize(
    ("values", "named"),
    [
        (["../data/q.jsonl"], {"data/q.jsonl"}),
        (['"~/data/*.jsonl"'], {"data"}),
        (['["~/data/q.jsonl", {"y": "mine.jsonl"}]'], {"data/q.jsonl", "work/mine.jsonl"}),
        (["/", "[" * 5000, "a\0b", "a * b?", "3"], set()),
        (["*.jsonl"], {"work"}),
    ],
)
def test_what_the_user_names_is_read(home: Path, values: list[str], named: set[str]) -> None:
    assert readable(home, *values) - {"work/out/quiz"} == named


def test_files_of_keys_are_read_as_the_user_alone(home: Path) -> None:
    assert readable(home, as_user=True) == {"work/out/quiz", ".aws", "hub/token"}
    assert readable(home, file="../data/q.jsonl") == {"work/out/quiz", "data/q.jsonl"}


def test_a_folder_that_holds_packages_among_other_things_is_listed_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["", str(home), str(home / "data")])
    assert set(listed_paths()) == {home, home / "work"}
    assert "data" in readable(home), "a folder of packages alone is read"
