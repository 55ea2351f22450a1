"""The stages variant and override: what they put where, who wins, and where problems stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from raygen.core.errors import ProblemsError
from raygen.recipe.load import load_recipe
from tests.support.recipes import RECIPE, problems_of, write


def test_overrides_are_params_or_dotted_paths(tmp_path: Path) -> None:
    overrides = {
        "n": "8",
        "engines.teacher.backend": "openai",
        "engines.teacher.args.max_concurrency": "32",
        "graph.rationales.top_p": "0.5",
        "source.limit": "null",
        "output.rows": "10",
        "output.from.0": "rationales",
        "task": "multiple_choice",
    }
    recipe = load_recipe(write(tmp_path, RECIPE), overrides)
    assert recipe.params["n"] == 8
    assert recipe.graph["rationales"].model_extra == {"n": 8, "temperature": 1.0, "top_p": 0.5}
    assert recipe.engines["teacher"].backend == "openai"
    assert recipe.engines["teacher"].args == {"max_concurrency": 32}
    assert (recipe.source.limit, recipe.output.rows) == (None, 10)
    assert recipe.output.sources == ("rationales",)


def test_a_text_param_takes_its_override_as_it_is(tmp_path: Path) -> None:
    text = RECIPE.replace(", choices: [tiny, big]", "")
    assert load_recipe(write(tmp_path, text), {"model": "007"}).params["model"] == "007"


@pytest.mark.parametrize(
    ("key", "value", "message"),
    [
        ("m", "1", "unknown key 'm'; expected a param or a key of the recipe"),
        ("modle", "big", "unknown key 'modle'; did you mean 'model'?"),
        ("n", "x", "param 'n': found the text 'x', expected a value of type int"),
        ("n", "true", "param 'n': found true, expected a value of type int"),
        ("n", "65", "param 'n': found 65, expected at most 64"),
        ("model", "huge", "param 'model': found the text 'huge', expected one of: 'tiny', 'big'"),
        ("engines.techer.gpus", "1", "has no 'engines.techer'; did you mean 'teacher'?"),
        ("engines.teacher.gpu", "1", "unknown key 'gpu'; did you mean 'gpus'?"),
        ("engines.teacher.gpus", "one", "gpus: found the text 'one', expected an integer"),
        ("engine.teacher.gpus", "1", "unknown key 'engine.teacher.gpus'; did you mean 'engines'?"),
        ("output.max_failed", "2", "max_failed: found 2, expected at most 1"),
        ("source.path.x", "2", "'source.path' has no keys of its own"),
        ("task", "multiple", "did you mean 'multiple_choice'?"),
    ],
)
def test_a_bad_override_names_itself(tmp_path: Path, key: str, value: str, message: str) -> None:
    (problem,) = problems_of(write(tmp_path, RECIPE), {key: value})
    assert problem.startswith(f"--set {key}={value}:1:1: ")
    assert message in problem


@pytest.mark.parametrize("key", ["source.path", "engines.teacher.args.base_url", "nothing"])
def test_an_override_with_a_password_is_not_shown(tmp_path: Path, key: str) -> None:
    overrides = {key: "https://me:the-pa55word@host.invalid/v1", "task": "no-task"}
    with pytest.raises(ProblemsError) as refused:
        load_recipe(write(tmp_path, RECIPE), overrides)
    assert "pa55word" not in str(refused.value)


def test_an_override_that_is_no_yaml_is_a_text(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE)
    prompt = "{{ question }} [yes"
    recipe = load_recipe(path, {"graph.rationales.prompt": prompt})
    assert recipe.document.data["graph"]["rationales"]["prompt"] == prompt
    (problem,) = problems_of(path, {"n": "[1"})
    assert problem.endswith("param 'n': found the text '[1', expected a value of type int")


VARIANTS = """\
train: {model: m, data: {rationale: after}}
variants:
  before: {train.data.rationale: before, n: 9, engines.teacher.args: {x: 1}}
  plain: {train.data: {rationale: none}}
"""


def test_a_variant_is_a_named_set_of_overrides(tmp_path: Path) -> None:
    path = write(tmp_path, RECIPE + VARIANTS)
    plain = load_recipe(path, variant="plain")
    assert plain.variant == "plain"
    assert plain.train == {"model": "m", "data": {"rationale": "none"}}
    before = load_recipe(path, variant="before")
    assert before.train == {"model": "m", "data": {"rationale": "before"}}
    assert before.graph["rationales"].model_extra == {"n": 9, "temperature": 1.0}
    assert before.engines["teacher"].args == {"x": 1}
    assert load_recipe(path, {"n": "5"}, variant="before").params["n"] == 5, "--set wins"
    again = load_recipe(write(tmp_path, before.frozen(), "frozen.yaml"))
    assert (again.train, again.params, again.sections.variants) == (before.train, before.params, {})
    assert load_recipe(path).params["n"] == 4


def test_a_variant_may_add_nodes_and_replace_the_graph(tmp_path: Path) -> None:
    text = """\
variants:
  more: {graph.again: {op: filter, from: rationales, where: "true"}, output.from: again}
  other:
    graph: {kept: {op: filter, from: source, where: "true"}}
    engines: {}
    output.from: kept
"""
    path = write(tmp_path, RECIPE + text)
    assert "again" in load_recipe(path, variant="more").graph
    other = load_recipe(path, variant="other")
    assert (list(other.graph), other.engines) == (["kept"], {})
    with pytest.raises(ProblemsError, match=r"the recipe has no 'graph.again'"):
        load_recipe(path, {"graph.again": "{op: filter, from: source, where: 'true'}"})


@pytest.mark.parametrize(
    ("variant", "changes", "problem"),
    [
        ("befor", "{}", "22:1: there is no variant 'befor'; did you mean 'before'?"),
        ("before", "{trian.x: 1}", "23:12: unknown key 'trian.x'; did you mean 'train'?"),
        ("before", "{n: five}", "23:12: param 'n': found the text 'five', expected a value of"),
        ("before", "{n: 1, output: {from: noted, path: a, pth: x}}", "23:49: unknown key 'pth'"),
        ("before", "{variants.x: {}}", "23:12: unknown key 'variants.x'"),
        ("before", "[n]", "23:3: before: found a list of 1, expected a mapping"),
        (None, "{}\n  all: {}", "24:3: a variant can't be named 'all'"),
    ],
)
def test_problems_of_a_variant_stand_in_its_section(
    tmp_path: Path, variant: str | None, changes: str, problem: str
) -> None:
    path = write(tmp_path, RECIPE + f"variants:\n  before: {changes}\n")
    with pytest.raises(ProblemsError) as caught:
        load_recipe(path, variant=variant)
    assert str(caught.value.problems[0]).removeprefix(f"{path}:").startswith(problem)
