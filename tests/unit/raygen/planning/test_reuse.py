"""What an edit leaves to be reused, said before anything runs."""

from __future__ import annotations

from typing import Any

import pytest

from raygen.planning.reuse import Reuse, compare_plans

NODES = [("a", ["source"]), ("b", ["a"]), ("c", ["b", "source"]), ("d", ["a"])]


def plan(**changes: Any) -> dict[str, Any]:
    nodes = [
        {"name": name, "from": inputs, "identity": changes.get(name, name)}
        for name, inputs in NODES
        if changes.get(name) != "gone"
    ]
    return {"task": changes.get("task", "t"), "labels": changes.get("labels", []), "nodes": nodes}


@pytest.mark.parametrize(
    ("changes", "same"),
    [
        ({}, "abcd"),
        ({"b": "edited"}, "ad"),
        ({"a": "edited"}, ""),
        ({"c": "edited"}, "abd"),
        ({"labels": ["x", "y"]}, ""),
        ({"task": "other"}, ""),
    ],
)
def test_what_an_edit_leaves_the_same(changes: dict[str, Any], same: str) -> None:
    found = compare_plans(plan(), plan(**changes))
    assert {name for name, change in found.items() if change == "same"} == set(same)


def test_an_edited_node_differs_from_those_after_it() -> None:
    assert compare_plans(plan(d="gone"), plan(b="edited")) == {
        "a": "same",
        "b": "changed",
        "c": "after a change",
        "d": "new",
    }


def test_other_inputs_are_a_change() -> None:
    new = plan()
    new["nodes"][3]["from"] = ["b"]
    assert compare_plans(plan(), new)["d"] == "changed"


def numbered(n: int, model: str = "m", **params: Any) -> dict[str, Any]:
    """A plan of one step that asks n times, and one after it."""
    step = {
        "name": "a", "from": ["source"], "op": "o", "op_version": 1, "engine": "t",
        "params": {"n": n, **params}, "identity": f"{n} {model} {params}",
    }  # fmt: skip
    after = {"name": "b", "from": ["a"], "identity": "b"}
    engines = {"t": {"model": model, "revision": None}}
    return {"task": "t", "labels": [], "engines": engines, "nodes": [step, after]}


def test_a_step_that_asks_more_often_has_the_old_calls_among_its_own() -> None:
    found = compare_plans(numbered(4), numbered(8))
    assert found == {"a": "another number", "b": "after a change"}
    assert Reuse(found, {"a": 128, "b": 60}).reusable == 128
    for edited in (numbered(8, "other"), numbered(8, temperature=0), numbered(4, temperature=0)):
        assert compare_plans(numbered(4), edited)["a"] == "changed"


def test_the_words_count_what_comes_back() -> None:
    reuse = Reuse({"a": "same", "b": "changed"}, {"a": 128, "b": 60, "gone": 4})
    assert (reuse.recorded, reuse.reusable) == (192, 128)
    assert reuse.words().startswith("128 of 192 recorded calls")
    assert "b" in reuse.words()
    assert "can be reused" in Reuse({}, {}).words()
    assert "3 calls are recorded" in Reuse({}, {"a": 3}).words()
