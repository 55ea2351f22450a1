"""Whatever stands in a file beside a dataset's tables: every command ends with a plain message."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.small_datasets import QUIZ, make_dataset, questions, write_recipe

DAMAGE = [b"", b"[]", b'{"hash": 5, "version": 2}', b"\xff\xfe\x00"]
SHOW, CARD = ["show", "{out}"], ["card", "{out}"]
EXPORT = ["export", "{out}", "--format", "jsonl", "--out", "{tmp}/exported"]
COMMANDS = {
    "plan.json": [["status", "{out}"], SHOW, EXPORT, ["plan", "{recipe}"]],
    "recipe.yaml": [CARD, ["diff", "{out}", "{recipe}"]],
    "recipe.lock.yaml": [CARD],
    "verdicts/me.json": [SHOW],
    "README.md": [CARD],
}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    recipe = write_recipe(tmp_path_factory.mktemp("quiz"), QUIZ, questions(4))
    out = make_dataset(recipe)
    (out / "recipe.yaml").write_text(recipe.read_text())
    return recipe


def invoke(*words: str) -> tuple[int, str]:
    """The exit code of a command and all that it says, which is never an error of Python's."""
    done = CliRunner().invoke(main, words)
    assert done.exception is None or isinstance(done.exception, SystemExit)
    assert "Error: unexpected" not in done.output, done.output
    return done.exit_code, done.output


@pytest.mark.parametrize("name", COMMANDS)
def test_a_damaged_file_ends_in_a_plain_message(name: str, made: Path, tmp_path: Path) -> None:
    shutil.copytree(made.parent, tmp_path / "quiz")
    recipe, out = tmp_path / "quiz" / "recipe.yaml", tmp_path / "quiz" / "out"
    damaged = out / name
    damaged.parent.mkdir(exist_ok=True)
    for words in COMMANDS[name]:
        for content in DAMAGE:
            damaged.write_bytes(content)
            code, text = invoke(
                *(word.format(out=out, recipe=recipe, tmp=tmp_path) for word in words)
            )
            if code:
                assert name in text


@pytest.mark.parametrize("table", ["rows", pytest.param("examples", marks=pytest.mark.slow)])
@pytest.mark.parametrize(
    "content",
    [
        b'{"add": {"path": 5}}',
        *(pytest.param(content, marks=pytest.mark.slow) for content in (b"", b"{}", b"[]\n")),
    ],
)
def test_a_damaged_log_ends_in_a_plain_message(
    table: str, content: bytes, made: Path, tmp_path: Path
) -> None:
    shutil.copytree(made.parent, tmp_path / "quiz")
    out = tmp_path / "quiz" / "out"
    max((out / table / "_delta_log").glob("*.json")).write_bytes(content)
    invoke("status", str(out))
    invoke("show", str(out))


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
        code, text = invoke("status", str(out))
        assert code in (1, 2)
        assert newest.name in text
