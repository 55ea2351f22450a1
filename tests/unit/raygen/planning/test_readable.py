"""What looking at a fetched recipe may read: what it needs and what the user named, no more."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.planning.preparation import RecipeRequest
from raygen.planning.readable import listed_paths, readable_paths


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


def readable(home: Path, **more: object) -> set[str]:
    request = RecipeRequest(Path("r.yaml"), **more)  # type: ignore[arg-type]
    paths = [path for path in readable_paths(request) if path.is_relative_to(home)]
    return {str(path.relative_to(home)) for path in paths}


def test_nothing_of_the_home_or_the_current_folder_but_datasets(home: Path) -> None:
    assert readable(home) == {"work/out/quiz"}
    assert not {home, home / "work"} & set(readable_paths(RecipeRequest(Path("r.yaml"))))


@pytest.mark.parametrize(
    ("more", "named"),
    [
        ({"overrides": {"source.path": "../data/q.jsonl"}}, {"data/q.jsonl"}),
        ({"overrides": {"source.path": '"~/data/*.jsonl"'}}, {"data"}),
        ({"overrides": {"x": '["~/data/q.jsonl", {"y": "mine.jsonl"}]'}},
         {"data/q.jsonl", "work/mine.jsonl"}),
        ({"overrides": {"x": "/", "y": "[" * 5000, "z": "a\0b", "w": "a * b?"}}, set()),
        ({"overrides": {"source.path": "*.jsonl"}}, {"work"}),
        ({"profile": Path("../data/q.jsonl")}, {"data/q.jsonl"}),
        ({"trusted": (Path("../data/ops.py"),)}, {"data"}),
        ({"as_me": ("s3://bucket",)}, {".aws", "hub/token"}),
    ],
)  # fmt: skip
def test_what_the_user_names_is_read(home: Path, more: dict[str, object], named: set[str]) -> None:
    assert readable(home, **more) - {"work/out/quiz"} == named


def test_a_folder_that_holds_packages_among_other_things_is_listed_alone(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.path", ["", str(home), str(home / "data")])
    assert set(listed_paths()) == {home, home / "work"}
    assert "data" in readable(home), "a folder of packages alone is read"
