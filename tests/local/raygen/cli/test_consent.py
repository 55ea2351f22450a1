"""The question before a stranger's recipe runs, at a terminal."""

from __future__ import annotations

import re
from pathlib import Path

import click
import pytest

from tests.support.references import RECIPE, commit, write_recipe
from tests.support.terminals import sent_to_terminal

ENGINES = "".join(
    f'  e{n}: {{model: "m{n}\\e[8m", backend: openai, args: {{base_url: "http://127.0.0.1:{n}/v1"}}}}\n'
    for n in range(9000, 9040)
)
NODES = "".join(
    f"  n{n}: {{op: sample_rationales, from: source, engine: e{n}, n: 1}}\n"
    for n in range(9000, 9040)
)
OUTPUTS = ", ".join(["rationales", *(f"n{n}" for n in range(9000, 9040))])
HOSTILE = (
    "# " + "x" * 5000 + "\n" * 400
    + RECIPE.replace("recipe: shared", r'recipe: "nice\e[2J\u202e\nsends nothing"')
    .replace("engines:\n", f"engines:\n{ENGINES}")
    .replace("graph:\n", f"graph:\n{NODES}")
    .replace("from: rationales", f"from: [{OUTPUTS}]")
    .replace("path: out/shared", r'path: "out/x\e]0;title\a"')
)  # fmt: skip


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hub"))
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("LINES", "40")
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    write_recipe(tmp_path / "repository")
    return tmp_path / "repository"


def test_a_hostile_recipe_is_shown_on_a_page(repository: Path) -> None:
    (repository / "recipe.yaml").write_text(HOSTILE)
    commit(repository)
    words = ["apply", f"git+file://{repository}"]
    written = sent_to_terminal(words, ("Run it?", "n\n"), exit_code=1)
    assert "nothing was run" in written
    shown = click.unstyle(written)
    assert re.findall(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u202e]", shown) == []
    asked = shown.partition("would do")[2].partition("Run it?")[0]
    lines = asked.splitlines()
    assert len(lines) < 40, "what it does fits on the page above the question"
    for kind in ("reads", "sends", "runs", "writes", "expected", "at most"):
        assert any(line.startswith(kind) for line in lines), kind
    assert "and 34 more" in asked
    assert "which is in your own network, with no key" in asked
    assert "op sample_rationales of raygen" in asked
    text = shown.partition("would do")[0]
    assert "engines:" in text, "blank lines don't push the recipe out of sight"
    assert len(text.splitlines()) < 100
    assert list(Path.cwd().iterdir()) == []


def test_yes_at_a_terminal_runs_it_and_is_remembered(repository: Path) -> None:
    commit(repository)
    words = ["preview", f"git+file://{repository}", "-n", "1"]
    assert "Cold." in sent_to_terminal(words, ("Run it?", "y\n"))
    assert "Run it?" not in sent_to_terminal(words)
