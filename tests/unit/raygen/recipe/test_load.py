"""The stages of loading: their order, what each leaves, and that all problems come at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.core.errors import ProblemsError
from raygen.recipe.load import STAGES, load_recipe, variants_of
from raygen.recipe.profile import load_profile

BASE = """\
recipe: base
version: 1
params: {n: {type: int, default: 2}}
source: {path: rows.jsonl}
task: free_text
engines: {teacher: {model: ./student, backend: vllm, gpus: 1, args: {dtype: auto}}}
graph:
  a: {op: generate, from: source, engine: teacher, into: x, n: "${n}", prompt: {file: p.j2}}
output: {from: a, path: "out/${n}"}
variants: {more: {n: 3}}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "base.yaml").write_text(BASE)
    (tmp_path / "p.j2").write_text("Ask ${n}: {{ question }}")
    (tmp_path / "top.yaml").write_text("extends: base.yaml\nrecipe: top\n")
    (tmp_path / "p.yaml").write_text("profile: p\nengines: {teacher: {gpus: 0, backend: fake}}\n")
    return tmp_path


def problems_of(path: Path, **options: object) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path, **options)  # type: ignore[arg-type]
    return [str(problem).removeprefix(f"{path.parent}/") for problem in caught.value.problems]


def test_the_stages_stand_in_the_order_of_the_page() -> None:
    assert [stage.__name__ for stage in STAGES] == [
        "read", "upgrade", "extend", "variant", "override", "profile", "params", "confine",
        "attach", "parse",
    ]  # fmt: skip


def test_each_stage_wins_over_those_before(folder: Path) -> None:
    profile = load_profile(folder / "p.yaml")
    recipe = load_recipe(
        folder / "top.yaml", {"engines.teacher.gpus": "2"}, profile, variant="more"
    )
    assert (recipe.name, recipe.params) == ("top", {"n": 3})
    teacher = recipe.engines["teacher"]
    assert (teacher.backend, teacher.gpus, teacher.args) == ("fake", 2, {})
    assert recipe.document.data["graph"]["a"]["prompt"] == "Ask ${n}: {{ question }}"
    assert recipe.output_folder == str(folder / "out" / "3")
    assert teacher.model == str(folder / "student")


def test_what_is_frozen_is_the_document_before_the_profile(folder: Path) -> None:
    profile = load_profile(folder / "p.yaml")
    recipe = load_recipe(folder / "top.yaml", {"output.rows": "5"}, profile, variant="more")
    assert recipe.written["engines"]["teacher"]["backend"] == "vllm"
    assert recipe.written["output"] == {"from": "a", "path": "out/${n}", "rows": 5}
    assert recipe.written["graph"]["a"]["prompt"] == "Ask $${n}: {{ question }}"
    assert "variants" not in recipe.frozen()


def test_the_problems_of_all_stages_come_at_once(folder: Path) -> None:
    (folder / "p.yaml").write_text("profile: p\nengines: {techer: {gpus: 0}}\n")
    top = folder / "top.yaml"
    top.write_text(
        "extends: base.yaml\ngraph: {a: {prompt: {file: q.j2}, temprature: 1}}\n"
        "source: {path: '${m}'}\nvariants: {more: {m: 1}}\n"
    )
    profile = load_profile(folder / "p.yaml")
    first, *others = problems_of(top, overrides={"o": "1"}, profile=profile, variant="more")
    assert first.startswith("--set o=1:1:1: unknown key 'o'; expected a param or a key")
    assert others[:4] == [
        "p.yaml:2:11: the recipe has no engine 'techer'; did you mean 'teacher'?",
        "top.yaml:2:13: no file 'q.j2' in the recipe's folder; did you mean 'p.j2'?",
        "top.yaml:2:35: unknown key 'temprature'; did you mean 'temperature'?",
        "top.yaml:3:10: unknown param 'm'; expected one of: n ('$${' is a literal '${')",
    ]
    assert others[4].startswith("top.yaml:4:19: unknown key 'm'; expected a param or a key of")


def test_an_output_that_is_no_path_is_a_problem_of_its_place(folder: Path) -> None:
    (folder / "base.yaml").write_text(BASE.replace('"out/${n}"', '"a\\0b"'))
    (problem,) = problems_of(folder / "base.yaml")
    assert problem.startswith("base.yaml:9:19: 'a\\x00b' is no path that can be followed")


def test_variants_are_those_of_the_whole_chain(folder: Path) -> None:
    (folder / "top.yaml").write_text("extends: base.yaml\nvariants: {few: {n: 1}}\n")
    assert variants_of(folder / "top.yaml") == ["more", "few"]
