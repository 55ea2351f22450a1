"""Folders of models that come with a fetched recipe: none leads to a file or a model of the user's.

Each attack is tried as an engine's model, as a student's, and as a tokenizer.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from raygen.config.document import ProblemsError
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.remote.fetch import fetch
from tests.support.references import RECIPE, copy_repository, write_recipe

ENGINE = RECIPE.splitlines()[6].strip().removeprefix("teacher: ")
GRAPH = 'n: "${n}", prompt: {file: p.j2}}'
TOKENS = "\n  shuffled: {op: perturb_rationale, from: rationales, how: shuffle, unit: token, "


@pytest.fixture
def repository(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A recipe beside the folder of a model, fetched from a current folder with `mine/`."""
    monkeypatch.setenv("RAYGEN_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("raygen.recipe.remote.fetch.fetch_git", copy_repository)
    (tmp_path / "here" / "mine").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "here")
    folder = tmp_path / "repository"
    write_recipe(folder)
    (folder / "model" / "deep").mkdir(parents=True)
    (folder / "model" / "config.json").write_text('{"architectures": ["LlamaForCausalLM"]}')
    (tmp_path / "secret.json").write_text("secret")
    return folder


def problems(repository: Path, old: str, new: str) -> list[str]:
    """What is wrong with the fetched recipe after an edit; nothing where it is accepted."""
    assert old in RECIPE
    (repository / "recipe.yaml").write_text(RECIPE.replace(old, new))
    reference = fetch(f"git+file://{repository}")
    try:
        prepare(RecipeRequest(reference.file, fetched=reference))
    except ProblemsError as error:
        return [str(problem) for problem in error.problems]
    return []


def as_engine(repository: Path) -> list[str]:
    return problems(repository, ENGINE, "{model: ./model, backend: fake}")


def as_student(repository: Path) -> list[str]:
    student = "train: {student: s, version: 1, model: ./model}\ntask: multiple"
    return problems(repository, "task: multiple", student)


def test_a_model_that_came_along_is_used(repository: Path) -> None:
    (repository / "model" / "deep" / "w").symlink_to("../config.json")
    assert as_engine(repository) == []
    assert as_student(repository) == []


@pytest.mark.parametrize("name", ["tokenizer.json", "deep/model.safetensors", "deep/more"])
@pytest.mark.parametrize("target", ["secret.json", "", "no-such-file"])
def test_no_file_of_a_model_is_a_link_out_of_it(
    repository: Path, tmp_path: Path, name: str, target: str
) -> None:
    (repository / "model" / name).symlink_to(tmp_path / target)
    for tried in (as_engine, as_student):
        (problem,) = [p for p in tried(repository) if "link" in p]
        assert f"'model/{name}' is a link out of what was fetched" in problem


def test_a_model_holds_files_and_folders_only(repository: Path, tmp_path: Path) -> None:
    (repository / "model" / "round").symlink_to("round")
    (problem,) = as_engine(repository)
    assert "go round in a circle" in problem


@pytest.mark.parametrize(
    "base",
    ["{tmp}/private", "../../private", "./../private", "~/private", "mine", "file:///x", "."],
)
def test_no_adapter_is_made_for_a_model_of_the_users(
    repository: Path, tmp_path: Path, base: str
) -> None:
    settings = {"base_model_name_or_path": base.format(tmp=tmp_path), "peft_type": "LORA"}
    (repository / "model" / "adapter_config.json").write_text(json.dumps(settings))
    for tried in (as_engine, as_student):
        (problem,) = [p for p in tried(repository) if "base_model_name_or_path" in p]
        assert "a fetched recipe" in problem


@pytest.mark.parametrize("settings", ["[]", "{", "[" * 100_000, '{"base_model_name_or_path": 3}'])
def test_an_adapter_says_what_it_was_made_for(repository: Path, settings: str) -> None:
    (repository / "model" / "adapter_config.json").write_text(settings)
    (problem,) = [p for p in as_engine(repository) if "adapter_config.json" in p]
    assert "Traceback" not in problem


def test_an_adapter_for_a_model_of_the_hub_is_used(repository: Path) -> None:
    settings = {"base_model_name_or_path": "org/base", "peft_type": "LORA"}
    (repository / "model" / "adapter_config.json").write_text(json.dumps(settings))
    assert as_engine(repository) == []


@pytest.mark.parametrize("tokenizer", ["{tmp}", "../mine", "mine", "~/mine", "./model"])
def test_no_op_reads_a_tokenizer_of_this_machine(
    repository: Path, tmp_path: Path, tokenizer: str
) -> None:
    (tmp_path / "tokenizer.json").write_text("{}")
    new = f"{GRAPH}{TOKENS}tokenizer: '{tokenizer.format(tmp=tmp_path)}'}}"
    (problem,) = [p for p in problems(repository, GRAPH, new) if "fetched recipe" in p]
    assert os.fspath(Path(problem.split(":")[0]).name) == "recipe.yaml"
