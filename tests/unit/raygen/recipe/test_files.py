"""The stage attach: files whose texts stand in a recipe, and a student in a file of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.recipe.load import load_recipe
from tests.support.recipes import RECIPE, problems_of, write

FILES = RECIPE.replace(
    'temperature: "${t}"}', 'temperature: "${t}", prompt: {file: "prompts/${model}.j2"}}'
)


PROMPT = "Q: {{ question }} costs ${n} and $${x} or $$\n{% for c in choices %}{{ c }}{% endfor %}"


def test_a_file_stands_in_for_a_prompt_and_its_text_is_frozen(tmp_path: Path) -> None:
    write(tmp_path, PROMPT, "prompts/tiny.j2")
    student = "student: s\nmodel: x\nnote: ${not ours}\n"
    write(tmp_path, student, "students/s.yaml")
    path = write(tmp_path, FILES + "train: students/s.yaml\n")
    recipe = load_recipe(path, {"n": "6"})
    assert recipe.document.data["graph"]["rationales"]["prompt"] == PROMPT
    assert recipe.train == "students/s.yaml"
    again = load_recipe(write(tmp_path / "elsewhere", recipe.frozen()))
    assert again.graph == recipe.graph
    assert again.params == recipe.params
    assert again.sections.model_copy(update={"train": None, "params": {}}) == (
        recipe.sections.model_copy(update={"train": None, "params": {}})
    )
    assert again.train == {"student": "s", "model": "x", "note": "${not ours}"}
    assert load_recipe(again.path, {"n": "7"}).document.data["graph"]["rationales"]["n"] == 7


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("prompts/tinny.j2", "no file 'prompts/tinny.j2' in the recipe's folder; did you mean"),
        ("../secret.j2", "file '../secret.j2' is outside the recipe's folder"),
        ("/etc/passwd", "file '/etc/passwd' is outside the recipe's folder"),
        ("prompts/link.j2", "file 'prompts/link.j2' is outside the recipe's folder"),
        ("prompts/loop.j2", "file 'prompts/loop.j2' is a link to itself"),
        ("prompts", "'prompts' is a folder, expected a file"),
        ("x" * 300, "File name too long"),
        ("prompts/latin.j2", "file 'prompts/latin.j2' is not UTF-8 (byte 3)"),
    ],
)
def test_a_file_that_cannot_stand_in_is_a_problem(tmp_path: Path, name: str, message: str) -> None:
    write(tmp_path, "secret", "secret.j2")
    folder = tmp_path / "recipes"
    write(folder, "text", "prompts/tiny.j2")
    (folder / "prompts" / "latin.j2").write_bytes(b"caf\xe9")
    (folder / "prompts" / "link.j2").symlink_to(tmp_path / "secret.j2")
    (folder / "prompts" / "loop.j2").symlink_to(folder / "prompts" / "loop.j2")
    path = write(folder, FILES.replace("prompts/${model}.j2", name))
    problem = problems_of(path)[0]
    assert problem.startswith("17:")
    assert message in problem


def test_a_student_that_is_missing_or_broken_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE + "train: s.yaml\n"))
    assert problem == "22:1: train: no file 's.yaml' in the recipe's folder; did you mean 'r.yaml'?"
    student = write(tmp_path, "a: 1\na: 2\n", "s.yaml")
    (problem,) = problems_of(write(tmp_path, RECIPE + "train: s.yaml\n"))
    assert problem == f"{student}:2:1: duplicate key 'a', first on line 1"
