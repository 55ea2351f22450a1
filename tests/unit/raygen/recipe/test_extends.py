"""`extends` on local files: chains, positions, where paths start, what is refused or merged."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.config.document import Document, Place, ProblemsError, dump_text, parse_text
from raygen.planning.preparation import RecipeRequest, prepare
from raygen.recipe.extends import merge_documents
from raygen.recipe.load import load_recipe
from raygen.recipe.recipe import Recipe

BASE = """\
recipe: base
version: 1
params: {n: {type: int, default: 2, min: 1}, rows: {type: str, default: q.jsonl}}
source: {path: "${rows}"}
task: free_text
engines:
  teacher: {model: ./student/final, backend: fake}
graph:
  written: {op: generate, from: source, engine: teacher, into: x, n: "${n}", prompt: {file: p.j2}}
  noted: {op: map, from: written, set: {note: question}}
output: {from: noted, path: out}
train: {student: s, version: 1, model: m/m, evaluate: {report: held.jsonl}}
"""


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "base"
    folder.mkdir()
    (folder / "recipe.yaml").write_text(BASE)
    (folder / "p.j2").write_text("Ask: {{ question }}")
    (folder / "q.jsonl").write_text(json.dumps({"question": "Why?"}) + "\n")
    (folder / "held.jsonl").write_text("{}\n")
    return folder


def child(base: Path, text: str, name: str = "mine.yaml", extends: str = "../base") -> Path:
    path = base.parent / "mine" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"extends: {extends}\n{text}")
    return path


def problems_of(path: Path, overrides: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(ProblemsError) as caught:
        prepare(RecipeRequest(path, overrides or {}))
    return [str(problem) for problem in caught.value.problems]


def prompt(recipe: Recipe) -> str:
    return str(recipe.document.data["graph"]["written"]["prompt"])


def test_paths_start_in_the_folder_of_the_file_that_says_them(base: Path) -> None:
    path = child(base, "recipe: mine\ngraph: {written: {n: 5}}\n")
    found = prepare(RecipeRequest(path))
    assert (found.recipe.name, found.recipe.path) == ("mine", path)
    assert found.recipe.source_base.resolve() == base
    assert found.recipe.engines["teacher"].model == str(base / "student" / "final")
    assert found.output == str(base / "out")
    assert found.recipe.train == {
        "student": "s", "version": 1, "model": "m/m",
        "evaluate": {"report": str(base / "held.jsonl")},
    }  # fmt: skip
    assert prompt(found.recipe) == "Ask: {{ question }}"
    own = child(base, "source: {path: r.jsonl}\noutput: {path: out}\n")
    (own.parent / "r.jsonl").write_text(json.dumps({"question": "Who?"}) + "\n")
    found = prepare(RecipeRequest(own))
    assert found.recipe.source_base == own.parent
    assert found.output == str(own.parent / "out")


def test_a_param_that_is_a_path_starts_where_its_value_is_reported(base: Path) -> None:
    path = child(base, "params: {rows: {default: r.jsonl}}\n")
    assert load_recipe(path).source_base == path.parent
    assert load_recipe(child(base, "params: {n: {default: 3}}\n")).source_base == base


def test_a_prompt_file_is_relative_to_the_recipe_that_names_it(base: Path) -> None:
    path = child(base, "graph: {written: {prompt: {file: p.j2}}}\n")
    (path.parent / "p.j2").write_text("Mine: {{ question }}")
    assert prompt(load_recipe(path)) == "Mine: {{ question }}"
    (path.parent / "p.j2").unlink()
    assert problems_of(path) == [f"{path}:2:19: no file 'p.j2' in the recipe's folder"]


def test_a_frozen_recipe_loads_by_itself(base: Path) -> None:
    recipe = load_recipe(
        child(base, "graph: {written: {n: 5}, noted: null}\noutput: {from: written}\n")
    )
    frozen = base.parent / "frozen.yaml"
    frozen.write_text(recipe.frozen())
    again = load_recipe(frozen)
    assert "extends" not in parse_text(frozen.read_text(), "f").data
    assert list(again.graph) == ["written"]
    assert again.graph["written"].model_extra == recipe.graph["written"].model_extra


def test_problems_stand_in_the_file_that_says_the_value(base: Path) -> None:
    text = BASE.replace("op: map, from: written", "op: map, from: writen")
    (base / "recipe.yaml").write_text(text)
    path = child(base, "graph:\n  written: {temprature: 1}\n")
    below = base / "recipe.yaml"
    assert problems_of(path) == [
        f"{below}:10:20: there is no node 'writen'; did you mean 'written'?",
        f"{path}:3:13: unknown key 'temprature'; did you mean 'temperature'?",
    ]
    assert (
        problems_of(path, {"n": "0"})[0] == "--set n=0:1:1: param 'n': found 0, expected at least 1"
    )


def test_variants_and_overrides_come_after_all_that_is_extended(base: Path) -> None:
    path = child(base, "variants: {more: {n: 9}}\n")
    assert load_recipe(path, variant="more").params["n"] == 9
    assert load_recipe(path, {"n": "4"}, variant="more").params["n"] == 4
    assert [one.variant for one in RecipeRequest(path, variant="all").each()] == ["more"]
    above = child(base, "", "above.yaml", "mine.yaml")
    assert [one.variant for one in RecipeRequest(above, variant="all").each()] == ["more"]
    assert problems_of(path, {"extends": "x"})[0].startswith("--set extends=x:1:1: unknown key")


def test_chains_are_followed_and_circles_refused(base: Path) -> None:
    middle = child(
        base, "params: {n: {default: 7}}\ngraph: {noted: null}\noutput: {from: written}\n"
    )
    top = child(base, "recipe: top\n", "top.yaml", "mine.yaml")
    recipe = load_recipe(top)
    assert (recipe.name, recipe.params["n"], list(recipe.graph)) == ("top", 7, ["written"])
    middle.write_text("extends: top.yaml\n")
    (problem,) = problems_of(top)
    assert problem.startswith(f"{middle}:1:1: extends: {top} -> {middle} -> {top} goes round")
    top.write_text("extends: top.yaml\n")
    assert "goes round in a circle" in problems_of(top)[0]


@pytest.mark.parametrize(
    ("extends", "message"),
    [
        ("nothing", "no such recipe; expected a YAML file, or a folder with one"),
        ("[x]", "extends: found a list of 1, expected a path or a reference"),
        ("nowhere://x/recipe.yaml", "Protocol not known: nowhere"),
        ("git+ftp://x/y", "expected one of git+https://"),
        ("x" * 300, "File name too long"),
        ('"a\\0b"', "null byte"),
        ("loop", "loop"),
    ],
)
def test_what_cannot_be_extended_is_a_problem_of_its_place(
    base: Path, extends: str, message: str
) -> None:
    path = child(base, "recipe: mine\n", extends=extends)
    (path.parent / "loop").symlink_to("loop")
    (problem,) = problems_of(path)
    assert problem.startswith(f"{path}:1:1: extends: ")
    assert message in problem


def test_every_file_of_a_chain_is_of_a_version_that_can_be_read(base: Path) -> None:
    (base / "recipe.yaml").write_text(BASE.replace("version: 1\nparams", "version: 3\nparams"))
    (problem,) = problems_of(child(base, "version: 1\n"))
    assert problem == f"{base / 'recipe.yaml'}:2:1: recipe version 3: this raygen reads 1 to 2"


def test_a_text_that_is_too_long_for_a_path_stays_as_it_is(base: Path) -> None:
    text = "x" * 300
    (base / "recipe.yaml").write_text(BASE.replace("held.jsonl", text))
    recipe = load_recipe(child(base, "recipe: mine\n"))
    assert isinstance(recipe.train, dict)
    assert recipe.train["evaluate"]["report"] == text


def over(below: Any, above: Any) -> Any:
    document, problems = merge_documents(
        parse_text(dump_text(below), "below"), parse_text(dump_text(above), "above")
    )
    assert problems == []
    return document.data


def test_mappings_are_merged_lists_are_replaced_and_null_removes() -> None:
    below = {
        "source": {"path": "x", "limit": 3},
        "graph": {"a": {"op": "generate", "n": 1, "stop": ["x", "y"]}, "b": {"op": "filter"}},
    }
    above = {
        "source": {"limit": None},
        "graph": {"a": {"n": 2, "stop": ["z"]}, "b": None, "c": {"op": "map", "engine": None}},
    }
    assert over(below, above) == {
        "source": {"path": "x"},
        "graph": {
            "a": {"op": "generate", "n": 2, "stop": ["z"]},
            "c": {"op": "map", "engine": None},
        },
    }


def test_parameters_belong_to_their_op() -> None:
    below = {"graph": {"a": {"op": "generate", "from": "source", "prompt": "p"}}}
    same = {"graph": {"a": {"op": "generate", "n": 2}}}
    assert over(below, same)["graph"]["a"]["prompt"] == "p"
    other = {"graph": {"a": {"op": "filter", "from": "source", "where": "x"}}}
    assert over(below, other) == other


def test_arguments_belong_to_their_backend() -> None:
    below = {"engines": {"t": {"model": "m", "args": {"max_model_len": 9}}}}
    both = over(below, {"engines": {"t": {"backend": None, "args": {"dtype": "auto"}}}})
    assert both["engines"]["t"]["args"] == {"max_model_len": 9, "dtype": "auto"}
    other = over(below, {"engines": {"t": {"backend": "openai", "args": {"timeout": 3}}}})
    assert other["engines"]["t"] == {"model": "m", "backend": "openai", "args": {"timeout": 3}}
    bare = over(below, {"engines": {"t": {"backend": "transformers"}}})
    assert bare["engines"]["t"] == {"model": "m", "backend": "transformers"}


def test_a_file_is_one_text_and_is_replaced_whole() -> None:
    below = {"graph": {"a": {"op": "o", "prompt": {"file": "x.j2"}, "pick": {"by": "likely"}}}}
    above = {"graph": {"a": {"prompt": {"file": "y.j2"}, "pick": {"file": "p.yaml"}}}}
    node = over(below, above)["graph"]["a"]
    assert (node["prompt"], node["pick"]) == ({"file": "y.j2"}, {"file": "p.yaml"})


@pytest.mark.parametrize("section", ["params", "engines", "graph", "variants"])
def test_removing_what_is_not_there_is_a_problem_with_its_place(section: str) -> None:
    below = parse_text(f"{section}: {{rationales: {{}}}}\n", "below")
    above = parse_text(f"{section}:\n  rationale: null\n", "above")
    _, problems = merge_documents(below, above)
    assert [(p.file, p.line, p.column) for p in problems] == [("above", 2, 3)]
    assert "did you mean 'rationales'?" in problems[0].message


NAMES = st.sampled_from(["graph", "engines", "args", "backend", "op", "file", "a", "b", "c"])
VALUES = st.recursive(
    st.none() | st.integers(0, 9) | st.sampled_from(["x", "y"]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=12,
)
RECIPES = st.dictionaries(NAMES, VALUES, max_size=4)


def places(value: Any, place: Place = ()) -> Iterator[tuple[Place, Any]]:
    yield place, value
    if isinstance(value, dict | list):
        for key, child in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(child, (*place, key))


def at(document: Document, place: Place) -> Any:
    value = document.data
    for part in place:
        value = value[part]
    return value


@given(RECIPES, RECIPES)
def test_every_value_of_a_merged_recipe_has_the_mark_of_the_file_that_says_it(
    below: dict[str, Any], above: dict[str, Any]
) -> None:
    documents = {
        "below": parse_text(dump_text(below), "below"),
        "above": parse_text(dump_text(above), "above"),
    }
    both, _ = merge_documents(documents["below"], documents["above"])
    assert both.file == "above"
    seen = list(places(both.data))
    assert set(both.marks) == {place for place, _ in seen}
    for place, value in seen:
        mark = both.marks[place]
        said = documents[mark.file]
        assert said.marks[place] == mark
        if not isinstance(value, dict):
            assert at(said, place) == value
        if mark.file == "below":
            with pytest.raises((KeyError, IndexError, TypeError)):
                at(documents["above"], place)


@given(RECIPES)
def test_a_recipe_over_an_empty_one_is_itself(recipe: dict[str, Any]) -> None:
    document = parse_text(dump_text(recipe), "f")
    both, _ = merge_documents(parse_text("{}", "empty"), document)
    assert (both.data, both.marks) == (document.data, document.marks)
