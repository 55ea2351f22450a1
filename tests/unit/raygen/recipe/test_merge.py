"""One recipe over another: what is merged, what is replaced, and whose mark a value keeps."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from raygen.config.document import Document, Place, dump_text, parse_text
from raygen.recipe.merge import merge_documents


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
