"""A recipe as a whole: what it has once it is loaded, and all that is wrong with one at once."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from raygen.config.document import ProblemsError, dump_text, parse_text
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from raygen.recipe.recipe import Recipe
from tests.support.recipes import RECIPE, problems_of, write


def test_a_recipe_is_read_with_its_params_filled_in(tmp_path: Path) -> None:
    recipe = load_recipe(write(tmp_path, RECIPE))
    assert recipe.params == {"n": 4, "t": 1.0, "model": "tiny", "on": True}
    assert recipe.base == tmp_path
    assert (recipe.name, recipe.task.name) == ("test", "multiple_choice")
    assert (recipe.source.path, recipe.source.limit) == ("data/x.jsonl", 200)
    engine = recipe.engines["teacher"]
    assert (engine.model, engine.backend, engine.gpus) == ("org/tiny", "vllm", 1)
    assert engine.price == {"input": 1.0, "output": 2.0}
    extra = recipe.graph["rationales"].model_extra
    assert extra == {"n": 4, "temperature": 1.0}
    assert recipe.document.data["graph"]["noted"]["set"]["note"] == "'n=4 on=true ${raw}'"
    assert recipe.output.sources == ("noted",)
    assert recipe.output.path == "out/tiny-4"
    assert recipe.output.max_failed == 0.05


def test_a_models_folder_is_named_from_the_recipes_own(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE)
    folder = load_recipe(path, {"engines.teacher.model": "../student/final"}).engines["teacher"]
    assert folder.model == str(tmp_path.parent / "student" / "final")
    assert load_recipe(path, {"engines.teacher.model": "a/b"}).engines["teacher"].model == "a/b"


def test_all_problems_come_at_once_and_consequences_do_not(tmp_path: Path) -> None:
    text = """\
recipe: test
version: 1
params:
  n: {type: int, default: four}
  m: {type: int}
  k: {type: in, default: 1}
source: {path: x, limt: 3}
task: multiple_choise
engines:
  teacher: {model: a, price: {input: -1, output: 0}}
graph:
  a: {op: sample_rationale, from: source, engine: teacher}
  b: {op: sample_rationales, from: aa, engine: techer, n: "${n}", max_tokens: "${m}"}
  c: {op: sample_rationales, from: source, engine: teacher, temprature: 1, n: "${nn}"}
  source: {op: filter, from: source, where: "true"}
output: {from: [a, d], path: out}
includes: x
"""
    assert problems_of(write(tmp_path, text)) == [
        "4:18: param 'n': found the text 'four', expected a value of type int",
        "5:3: param 'm': has no value; set it with --set m=VALUE",
        (
            "6:7: type: found the text 'in', expected 'int', 'float', 'str' or 'bool'; "
            "did you mean 'int'?"
        ),
        "7:19: unknown key 'limt'; did you mean 'limit'?",
        (
            "8:1: task: found the text 'multiple_choise', expected 'multiple_choice', "
            "'classification' or 'free_text'; did you mean 'multiple_choice'?"
        ),
        "10:31: input: found -1, expected at least 0",
        "12:7: unknown op 'sample_rationale'; did you mean 'sample_rationales'?",
        "13:30: there is no node 'aa'; did you mean 'a'?",
        "13:40: there is no engine 'techer'; did you mean 'teacher'?",
        "14:61: unknown key 'temprature'; did you mean 'temperature'?",
        "14:76: unknown param 'nn'; did you mean 'n'? ('$${' is a literal '${')",
        "15:3: a node can't be named 'source', which stands for the source rows",
        "16:20: there is no node 'd'; expected one of: a, b, c, source",
        (
            "17:1: unknown key 'includes'; expected one of: "
            "authors, description, engines, extends, graph, labels, license, output, params, "
            "recipe, source, task, train, variants, version"
        ),
    ]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "1:1: found nothing, expected a recipe"),
        ("- 1", "1:1: found a list of 1, expected a recipe"),
        ("recipe: x\nversion: 3\n", "2:1: recipe version 3: this raygen reads 1 to 2"),
        ("recipe: x\nversion: true\n", "2:1: recipe version true: this raygen reads 1 to 2"),
    ],
)
def test_what_is_no_recipe_of_this_version_says_so(tmp_path: Path, text: str, message: str) -> None:
    (problem,) = problems_of(write(tmp_path, text))
    assert problem.startswith(message)


def test_an_open_reference_is_a_problem(tmp_path: Path) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE.replace("$${raw}", "${raw")))
    assert "a '${' without its '}'" in problem


def test_a_source_on_the_command_line_is_looked_for_where_the_user_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, RECIPE)
    here = tmp_path / "here"
    here.mkdir()
    (tmp_path / "q.jsonl").touch()
    (here / "mine.jsonl").touch()
    monkeypatch.chdir(here)
    bases = [
        load_recipe(path, {"source.path": text}).source_base
        for text in ("mine.jsonl", "m*.jsonl", "../here/mine.jsonl", "q.jsonl", "hf://datasets/a/b")
    ]
    assert bases == [here, here, here, path.parent, path.parent]


def test_a_frozen_recipe_holds_overrides_and_no_profile(tmp_path: Path) -> None:
    path = write(tmp_path, "profile: p\nengines: {teacher: {backend: fake, gpus: 0}}\n", "p.yaml")
    profile = load_profile(path)
    overrides = {"engines.teacher.gpus": "2"}
    recipe = load_recipe(write(tmp_path, RECIPE), overrides, profile)
    assert (recipe.engines["teacher"].backend, recipe.engines["teacher"].gpus) == ("fake", 2)
    again = load_recipe(write(tmp_path, recipe.frozen(), "frozen.yaml"))
    assert (again.engines["teacher"].backend, again.engines["teacher"].gpus) == ("vllm", 2)


def test_a_missing_recipe_is_a_problem(tmp_path: Path) -> None:
    assert problems_of(tmp_path / "none.yaml") == ["1:1: no such file"]


words = st.sampled_from(
    [
        *parse_text(RECIPE, "f").data,
        *("from", "op", "path", "file", "train", "n", "1"),
        *("${n}", "${x}", "map", "filter", "teacher"),
    ]
)
leaves = words | st.integers() | st.none() | st.booleans() | st.text(max_size=5)
trees = st.recursive(
    leaves, lambda c: st.lists(c, max_size=3) | st.dictionaries(words, c, max_size=5), max_leaves=20
)
LINES = RECIPE.splitlines(keepends=True)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.text()
    | trees.map(dump_text)
    | st.dictionaries(words, trees).map(
        lambda extra: dump_text({**parse_text(RECIPE, "f").data, **extra})
    )
    | st.lists(st.sampled_from(LINES), max_size=30).map("".join)
)
def test_any_text_is_a_recipe_or_problems(tmp_path: Path, text: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_bytes(text.encode("utf-8", "surrogatepass"))
    try:
        outcome: Recipe | ProblemsError = load_recipe(path)
    except ProblemsError as error:
        outcome = error
    if isinstance(outcome, Recipe):
        assert load_recipe(write(tmp_path, outcome.frozen(), "again.yaml")).graph == outcome.graph
    else:
        assert outcome.problems


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(
    st.lists(words, min_size=1, max_size=4).map(".".join) | st.text(max_size=8),
    trees.map(dump_text) | st.text(max_size=8),
)
def test_any_override_gives_a_recipe_or_problems(tmp_path: Path, key: str, value: str) -> None:
    path = write(tmp_path, RECIPE)
    try:
        outcome: Recipe | ProblemsError = load_recipe(path, {key: value})
    except ProblemsError as error:
        outcome = error
    if isinstance(outcome, ProblemsError):
        assert outcome.problems
    else:
        assert outcome.name
