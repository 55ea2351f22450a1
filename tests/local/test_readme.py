"""Every command of the README is one that a test or a make target runs."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from raygen.ops.registry import built_in

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text("utf-8")
MAKEFILE = (ROOT / "Makefile").read_text("utf-8")

# Need hardware, a running model or an installation: run by the test named, or by nobody and the
# README says so.
ELSEWHERE = {
    "make quickstart": "tests/integration/test_quickstart.py",
    "raygen preview recipes/quickstart.yaml -n 3": "tests/integration/test_quickstart.py",
    "raygen apply recipes/quickstart.yaml --yes": "tests/integration/test_quickstart.py",
    "raygen status out/quickstart": "tests/integration/test_quickstart.py",
    "streamtrain eval out/quickstart/student/final --data recipes/data/everyday_heldout.jsonl": (
        "tests/integration/test_quickstart.py"
    ),
    'pip install -e ".[gpu]"': "not run on such hardware",
    "raygen apply recipe.yaml --profile recipes/profiles/a100x8.yaml": "not run on such hardware",
}


def commands() -> list[str]:
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.strip() for block in blocks for line in block.splitlines()]
    return [line.removeprefix(".venv/bin/") for line in lines if line]


@pytest.mark.parametrize("command", commands())
def test_a_command_of_the_readme_is_run(command: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    if command not in ELSEWHERE:
        words = command.split()
        assert words[0] == "raygen"
        result = CliRunner().invoke(main, words[1:])
        assert result.exit_code == 0, result.output
        return
    where = ELSEWHERE[command]
    if where.startswith("tests/"):
        assert command in (ROOT / where).read_text("utf-8")
    else:
        assert where.split()[0] in README


def test_the_make_targets_of_the_readme_are_there() -> None:
    for target in re.findall(r"\bmake ([a-z-]+)", README):
        assert re.search(rf"^{target}:", MAKEFILE, re.MULTILINE), target


def test_make_quickstart_applies_the_recipe_of_the_readme() -> None:
    assert "$(BIN)/raygen apply recipes/quickstart.yaml --yes" in MAKEFILE


def test_the_recipe_of_the_readme_is_valid(tmp_path: Path) -> None:
    (text,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = ROOT / "recipes" / "data"
    (tmp_path / "data").symlink_to(path)
    (tmp_path / "recipe.yaml").write_text(text)
    result = CliRunner().invoke(main, ["validate", str(tmp_path / "recipe.yaml")])
    assert result.exit_code == 0, result.output


def test_the_ops_of_the_readme_are_all_of_them() -> None:
    text = README[README.index("They are made of ops") : README.index("[your own]")]
    assert set(re.findall(r"`(\w+)`", text)) == set(built_in())


def test_links_of_the_readme_lead_somewhere() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target


def test_the_tests_that_pages_name_are_there() -> None:
    pages = [*(ROOT / "docs").glob("*.md"), *ROOT.glob("*.md")]
    named = {
        path
        for page in pages
        for path in re.findall(r"\btests/[\w/]+\.py", page.read_text("utf-8"))
    }
    assert len(named) > 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []
