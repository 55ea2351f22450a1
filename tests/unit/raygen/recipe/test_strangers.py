"""Attacks of a fetched recipe from the command line: each ends with its reason before anything."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from raygen.cli.main import main
from tests.support.limited_here import look_here
from tests.support.references import RECIPE, copy_repository, write_recipe

SECRET = "planted-where-nobody-may-read"
SOURCE, PROMPT, OUT = "path: data/q.jsonl", "prompt: {file: p.j2}", "path: out/shared"
BACKEND = 'backend: fake, args: {answers: ["Cold. So the answer is: (b)"]}'
BOMB = "".join(
    f"{a}: &{a} [{', '.join([f'*{b}'] * 9)}]\n" for a, b in zip("bcdefgh", "abcdefg", strict=True)
)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        (SOURCE, "path: /etc/passwd", "is an absolute path"),
        (SOURCE, "path: ../../../../../../etc/passwd", "leads out of what was fetched"),
        (SOURCE, "path: link.jsonl", "is a link out of what was fetched"),
        (SOURCE, "path: 'file:///etc/passwd'", "is an absolute path"),
        (SOURCE, "path: '${env:HOME}/q.jsonl'", "unknown param 'env:HOME'"),
        (SOURCE, "path: 'http://169.254.169.254/latest/x.jsonl'", "is in a private network"),
        (SOURCE, "path: 'http://localhost/x.jsonl'", "is in a private network"),
        (PROMPT, 'prompt: "{{ question }} ${env:SECRET}"', "unknown param 'env:SECRET'"),
        (PROMPT, "prompt: {file: /etc/passwd}", "outside the recipe's folder"),
        (PROMPT, "prompt: {file: ../../../../../etc/passwd}", "outside the recipe's folder"),
        (PROMPT, "prompt: \"{% include '/etc/passwd' %}\"", "`include` is not available"),
        (PROMPT, 'prompt: "{{ cycler.__init__.__globals__ }}"', "reads 'cycler'"),
        (OUT, "path: /tmp/elsewhere", "under your current folder only"),
        (OUT, "path: ../../../elsewhere", "under your current folder only"),
        (OUT, "path: .ssh", "under your current folder only"),
        (
            "recipe: shared",
            "x: !!python/object/apply:os.system [id]\nrecipe: shared",
            "not allowed",
        ),
        ("recipe: shared", f"a: &a [x]\n{BOMB}recipe: shared", "more than 1000 entries"),
        ("recipe: shared", f"x: {'[' * 999}{']' * 999}\nrecipe: shared", "levels deep"),
        ("recipe: shared", "extends: /etc/passwd\nrecipe: shared", "is an absolute path"),
        ("op: sample_rationales", "op: evil.run", "unknown op 'evil.run'"),
        (BACKEND, "backend: vllm, args: {trust_remote_code: true}", "args.trust_remote_code"),
        (BACKEND, "backend: openai, args: {base_url: 'https://evil.example/v1'}", "--allow-env"),
    ],
)
def test_a_strangers_recipe_is_refused_before_anything_is_read_or_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old: str, new: str, why: str
) -> None:
    here, repository = tmp_path / "here", tmp_path / "repository"
    here.mkdir()
    monkeypatch.chdir(here)
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    look_here(monkeypatch)
    monkeypatch.setattr("raygen.recipe.remote.fetch.fetch_git", copy_repository)
    monkeypatch.setattr("raygen.config.yaml_text._MAX_NODES", 1000)
    for name in ("SECRET", "OPENAI_API_KEY"):
        monkeypatch.setenv(name, SECRET)
    assert old in RECIPE
    write_recipe(repository, RECIPE.replace(old, new))
    (repository / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (repository / "link.jsonl").symlink_to("/etc/passwd")
    done = CliRunner().invoke(main, ["apply", f"git+file://{repository}", "--yes"])
    assert done.exit_code == 2, done.output
    assert why in done.output
    assert "nothing was started" in done.output
    assert SECRET not in done.output
    assert "root:" not in done.output
    assert list(here.iterdir()) == []
    assert not (tmp_path / "ran").exists()
    assert not Path("/tmp/elsewhere").exists()  # noqa: S108 - where the attack would write
