"""The package of a new op: what is written, and the names and folders that are refused."""

from __future__ import annotations

import tomllib
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from raygen.cli.main import main
from raygen.core.errors import UserError
from raygen.ops.registry import ENTRY_POINTS, ops_of_file
from raygen.scaffold.op_package import write_package
from raygen.testing import check_op


@pytest.fixture(autouse=True)
def working_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*words: str) -> Result:
    return CliRunner().invoke(main, ["init", *words])


def test_a_package_with_its_entry_point_is_written() -> None:
    result = init("--op", "drop_short")
    assert result.exit_code == 0, result.output
    assert "wrote raygen-drop-short" in result.stdout
    made = Path("raygen-drop-short")
    project = tomllib.loads((made / "pyproject.toml").read_text())["project"]
    assert project["name"] == "raygen-drop-short"
    assert project["entry-points"][ENTRY_POINTS] == {"drop_short": "raygen_drop_short:OP"}
    (op,) = ops_of_file(made / "src" / "raygen_drop_short.py")
    assert op.name == "drop_short"
    assert len(check_op(op, {}, [{"question": "Why?"}, {"question": "Why is it so?"}])) == 2
    for path in set(made.rglob("*")) - set(made.rglob("*.pyc")):
        assert path.is_dir() or f"  {path.relative_to(made)}\n" in result.stdout
        assert path.is_dir() or "{{" not in path.read_text()


def test_its_recipe_is_valid() -> None:
    assert init("--op", "drop_tiny", "new/folder").exit_code == 0
    module = "new/folder/src/raygen_drop_tiny.py"
    result = CliRunner().invoke(main, ["validate", "new/folder/recipe.yaml", "--trust", module])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize(
    "name", ["", "Shout", "two words", "a-b", "9lives", "class", "x" * 41, "a.b"]
)
def test_a_name_that_no_op_can_have_is_refused(name: str) -> None:
    with pytest.raises(UserError, match="can't be an op's name"):
        write_package(name)
    assert list(Path().iterdir()) == []


def test_the_name_of_an_op_is_taken() -> None:
    result = init("--op", "filter")
    assert result.exit_code == 2
    assert "'filter' is an op already" in result.stderr
    assert list(Path().iterdir()) == []


def test_an_existing_folder_is_not_overwritten() -> None:
    Path("mine").mkdir()
    result = init("--op", "drop_short", "mine")
    assert result.exit_code == 2
    assert "mine is there already; nothing was changed" in result.stderr
    assert list(Path("mine").iterdir()) == []


def test_op_takes_no_options_of_a_recipe() -> None:
    result = init("--op", "drop_short", "--base-url", "http://localhost:9/v1")
    assert result.exit_code == 2
    assert "takes no --base-url" in result.stderr
