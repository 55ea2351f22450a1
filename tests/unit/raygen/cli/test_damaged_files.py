"""Whatever stands in a file beside a dataset's tables: every command ends with a plain message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe

DAMAGE = [
    b"",
    b"{",
    b"[]",
    b"null",
    b'"text"',
    b'{"hash": 5}',
    b'{"version": 2, "columns": []}',
    b"\xff\xfe\x00",
    b"[" * 50_000,
]
FILES = {
    "plan.json": "json",
    "recipe.yaml": "yaml",
    "recipe.lock.yaml": "yaml",
    "verdicts/me.json": "json",
    "README.md": "text",
}
COMMANDS = {
    "status": ["status", "{out}"],
    "show": ["show", "{out}"],
    "report": ["report", "{out}", "--out", "{tmp}/report.html"],
    "export": ["export", "{out}", "--out", "{tmp}/exported"],
    "card": ["card", "{out}"],
    "push": ["push", "{out}", "{tmp}/pushed"],
    "diff": ["diff", "{out}", "{recipe}"],
    "plan": ["plan", "{recipe}", "--out", "{out}"],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(4))
    out = make_dataset(recipe)
    (out / "recipe.yaml").write_text(recipe.read_text())
    return recipe


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("command", COMMANDS)
def test_a_damaged_file_ends_in_a_plain_message(
    name: str, command: str, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made.parent, tmp_path / "quiz")
    recipe, out = tmp_path / "quiz" / "recipe.yaml", tmp_path / "quiz" / "out"
    damaged = out / name
    damaged.parent.mkdir(exist_ok=True)
    names = {"{out}": str(out), "{recipe}": str(recipe), "{tmp}": str(tmp_path)}
    words = COMMANDS[command]
    for old, new in names.items():
        words = [word.replace(old, new) for word in words]
    for content in DAMAGE:
        damaged.write_bytes(content)
        done = CliRunner().invoke(main, words)
        said = done.output + (done.stderr if done.stderr_bytes else "")
        assert "unexpected" not in said, (content[:20], said)
        assert done.exception is None or isinstance(done.exception, SystemExit)
        if done.exit_code and name == "plan.json":
            assert "plan.json" in said


@pytest.mark.parametrize("content", DAMAGE)
@pytest.mark.parametrize("table", ["rows", "examples", "transcripts"])
def test_a_damaged_log_ends_in_a_plain_message(
    table: str, content: bytes, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made.parent, tmp_path / "quiz")
    out = tmp_path / "quiz" / "out"
    newest = max((out / table / "_delta_log").glob("*.json"))
    newest.write_bytes(content)
    for words in (["status", str(out)], ["show", str(out)], ["export", str(out)]):
        done = CliRunner().invoke(main, words)
        assert "unexpected" not in done.output, done.output
        assert done.exception is None or isinstance(done.exception, SystemExit)


def test_a_record_of_somebody_else_in_the_log_ends_in_a_plain_message(
    made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made.parent, tmp_path / "quiz")
    out = tmp_path / "quiz" / "out"
    newest = max((out / "rows" / "_delta_log").glob("*.json"))
    lines = [json.loads(line) for line in newest.read_text().splitlines()]
    for record in ("{", "[]", "{}", '{"kind": "rows"}', '{"kind": 5, "plan": {}, "meta": []}'):
        for line in lines:
            if "commitInfo" in line:
                line["commitInfo"]["wal"] = record
        newest.write_text("\n".join(map(json.dumps, lines)) + "\n")
        done = CliRunner().invoke(main, ["status", str(out)])
        assert done.exit_code in (1, 2)
        assert "unexpected" not in done.output, (record, done.output)
