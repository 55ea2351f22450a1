"""A dataset whose files are damaged, or not what its tables say, in every command that reads it:
one error with what and where."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import polars as pl
import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe

COMMANDS = {
    "show": ["show", "{it}"],
    "show rejects": ["show", "{it}", "--rejected"],
    "report": ["report", "{it}", "--out", "{tmp}/report.html"],
    "diff": ["diff", "{it}", "{other}"],
    "export": ["export", "{it}", "--out", "{tmp}/x.parquet"],
    "card": ["card", "{it}"],
    "status": ["status", "{it}"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(write_recipe(tmp_path_factory.mktemp("made"), QUIZ, questions(12)))


def garbage(file: Path) -> None:
    file.write_bytes(b"\0" * file.stat().st_size)


def truncated(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-100])


def footer(file: Path) -> None:
    content = file.read_bytes()
    file.write_bytes(content[:-40] + b"\xff" * 32 + content[-8:])


def other_types(file: Path) -> None:
    pl.read_parquet(file).with_columns(pl.col(pl.String).str.len_chars()).write_parquet(file)


def nested(file: Path) -> None:
    pl.read_parquet(file).with_columns(pl.struct("key").alias("key")).write_parquet(file)


def nothing(file: Path) -> None:
    pl.DataFrame({"x": [1]}).write_parquet(file)


def missing(file: Path) -> None:
    file.unlink()


def run(tmp_path: Path, command: str, folder: Path, other: Path) -> tuple[int, str]:
    words = [word.format(it=folder, other=other, tmp=tmp_path) for word in COMMANDS[command]]
    done = CliRunner().invoke(main, words, env={"COLUMNS": "200"})
    assert done.exception is None or isinstance(done.exception, SystemExit), done.exception
    return done.exit_code, done.output


@pytest.mark.parametrize(
    ("damage", "table"),
    [
        (truncated, "examples"),
        (other_types, "rows"),
        (missing, "examples"),
        *(
            pytest.param(damage, table, marks=pytest.mark.slow)
            for damage in (garbage, truncated, footer, other_types, nested, nothing, missing)
            for table in ("rows", "examples")
        ),
    ],
)
def test_a_damaged_file_is_one_error(
    made: Path, tmp_path: Path, damage: Callable[[Path], None], table: str
) -> None:
    folder = shutil.copytree(made, tmp_path / "it")
    for file in (folder / table).glob("*.parquet"):
        damage(file)
    codes = {}
    for command in COMMANDS:
        codes[command], output = run(tmp_path, command, folder, made)
        assert "unexpected" not in output, (command, output)
        assert "No such command" not in output
    assert {1, 2} & set(codes.values()), codes


@pytest.mark.parametrize(
    ("content", "table"),
    [
        (b"{", "rows"),
        (b'{"add": 3}\n', "examples"),
        *(
            pytest.param(content, table, marks=pytest.mark.slow)
            for content in (b"", b"{", b"[" * 100_000, b"null\n", b'{"add": {"path": "../x"}}\n')
            for table in ("examples", "rows")
        ),
    ],
)
def test_a_damaged_log_is_one_error(made: Path, tmp_path: Path, content: bytes, table: str) -> None:
    folder = shutil.copytree(made, tmp_path / "it")
    newest = max((folder / table / "_delta_log").glob("*.json"))
    newest.write_bytes(content)
    for command in COMMANDS:
        _, output = run(tmp_path, command, folder, made)
        assert "unexpected" not in output, (command, output)


@pytest.mark.parametrize(
    "change",
    [
        {"nodes": 3},
        pytest.param({"key": 1}, marks=pytest.mark.slow),
        pytest.param({"columns": {"id": "x"}}, marks=pytest.mark.slow),
    ],
)
def test_a_hostile_plan_is_one_error(made: Path, tmp_path: Path, change: object) -> None:
    folder = shutil.copytree(made, tmp_path / "it")
    plan = json.loads((folder / "plan.json").read_text())
    (folder / "plan.json").write_text(json.dumps({**plan, **change}))  # type: ignore[dict-item]
    for command in COMMANDS:
        _, output = run(tmp_path, command, folder, made)
        assert "unexpected" not in output, (command, output)
