"""What differs from a lock, and what to do about it, one thing at a time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from raygen.core.errors import ProblemsError
from raygen.recipe.lock import Lock, lock_differences, read_lock

WRITTEN: dict[str, Any] = {
    "lock": 1,
    "recipe": "small",
    "plan": "p1",
    "source": {"path": "q.jsonl", "rows": 4, "content": "c1"},
    "stops": {"rows": 3},
    "engines": {
        "teacher": {
            "model": "org/model",
            "commit": "a" * 40,
            "backend": "vllm",
            "args": {"dtype": "float32"},
            "base": {"model": "org/base", "content": "b1"},
        }
    },
    "nodes": {
        "think": {"op": "generate", "version": 1, "prompts": {"prompt": "h1"}, "identity": "i1"},
        "keep": {"op": "filter", "version": 1, "identity": "i2"},
    },
    "packages": {"raygen": "0.1.0", "torch": "2.13.0"},
    "files": {"ops.py": "f1"},
}
TEACHER = ("engines", "teacher")
THINK = ("nodes", "think")


def lock(*changes: tuple[tuple[str, ...], Any]) -> Lock:
    """The lock above with changes; a value of None takes the key out."""
    data = copy.deepcopy(WRITTEN)
    for (*path, last), value in changes:
        level = data
        for part in path:
            level = level[part]
        level[last] = value
        if value is None:
            del level[last]
    return Lock.model_validate(data)


def test_what_is_as_it_was_has_no_difference() -> None:
    assert lock_differences(lock(), lock()) == []


@pytest.mark.parametrize(
    ("change", "value", "todo"),
    [
        (("plan",), "p2", "was edited"),
        (("source", "rows"), 5, "back to the rows that it had"),
        (("source", "content"), "c2", "back to the rows that it had"),
        (("stops", "rows"), 9, "recipe's `output`"),
        (("stops", "pairs"), 3, "recipe's `output`"),
        ((*TEACHER, "args", "seed"), 0, "profile"),
        ((*TEACHER, "backend"), "openai", "profile"),
        ((*TEACHER, "args", "dtype"), "x", "profile"),
        ((*TEACHER, "model"), "org/other", "name the locked one"),
        ((*TEACHER, "revision"), "v2", "name the locked one"),
        ((*TEACHER, "commit"), "b" * 40, f"write `revision: {'a' * 40}` and lock again"),
        ((*TEACHER, "base", "content"), "b2", "put the files back"),
        ((*THINK, "version"), 2, "install what it was locked with"),
        ((*THINK, "op"), "map", "name the locked op"),
        ((*THINK, "prompts", "prompt"), "h2", "undo the edit"),
        ((*THINK, "identity"), "i9", "parameters or models were edited"),
        (("nodes", "keep"), None, "put it back"),
        (("packages", "torch"), "2.14", "install torch==2.13.0"),
        (("packages", "raygen"), None, "install raygen==0.1.0"),
        (("files", "ops.py"), "f2", "--trust"),
    ],
)
def test_each_difference_is_listed_once(change: tuple[str, ...], value: Any, todo: str) -> None:
    was: Any = WRITTEN
    for part in change:
        was = was.get(part)
    (one,) = lock_differences(lock(), lock((change, value)))
    assert one.key == ".".join(change)
    assert one.locked == ("filter" if change == ("nodes", "keep") else str(was or "nothing"))
    assert one.found == ("nothing" if value is None else str(value))
    assert todo in one.todo


def test_what_was_added_is_listed_too() -> None:
    (one,) = lock_differences(lock((("nodes", "keep"), None)), lock())
    assert str(one) == "nodes.keep: locked nothing, found filter; take it out"
    (two,) = lock_differences(lock((("packages", "torch"), None)), lock())
    assert str(two) == "packages.torch: locked nothing, found 2.13.0; run it without torch"


@pytest.mark.parametrize(
    ("changes", "key"),
    [
        ([(("source", "rows"), 5), (("source", "content"), "c2")], "source.rows"),
        ([((*TEACHER, "backend"), "fake"), ((*TEACHER, "args"), None)], "engines.teacher.backend"),
        ([((*TEACHER, "model"), "o/x"), ((*TEACHER, "commit"), "b")], "engines.teacher.model"),
        ([((*TEACHER, "model"), "o/x"), ((*TEACHER, "base"), None)], "engines.teacher.model"),
        ([((*THINK, "op"), "map"), ((*THINK, "version"), 4)], "nodes.think.op"),
        ([((*THINK, "version"), 2), ((*THINK, "identity"), "i9")], "nodes.think.version"),
    ],
)
def test_what_follows_from_a_difference_is_not_listed(changes: list[Any], key: str) -> None:
    assert [one.key for one in lock_differences(lock(), lock(*changes))] == [key]


def test_other_options_and_another_profile_come_first_and_are_no_difference_alone() -> None:
    given = lock((("given",), {"set": {"n": "3"}, "limit": 2, "profile": "laptop.yaml"}))
    assert lock_differences(given, lock()) == []
    options, profile, plan = map(str, lock_differences(given, lock((("plan",), "p2"))))
    assert options.startswith("options: locked --set n=3 --limit 2, found nothing; give the opt")
    assert profile.startswith("profile: locked laptop.yaml, found nothing; run it with the prof")
    assert plan.startswith("plan: locked p1, found p2; the recipe, or one that it extends, was ed")
    options, plan = map(
        str, lock_differences(lock(), lock((("given",), {"limit": 2}), (("plan",), "p2")))
    )
    assert options == "options: locked nothing, found --limit 2; leave them out"


def test_a_model_that_cant_be_looked_up_says_why() -> None:
    found = lock(((*TEACHER, "commit"), None), ((*TEACHER, "unresolved"), "no network"))
    (one,) = lock_differences(lock(), found)
    assert str(one) == (
        "engines.teacher.unresolved: locked nothing, found no network; it can't be looked up here"
    )
    assert found.unresolved == {"teacher": "no network"}
    assert lock_differences(found, found) == []
    other = lock(((*TEACHER, "commit"), None), ((*TEACHER, "unresolved"), "refused"))
    assert lock_differences(found, other) == [], "why it can't be looked up is no difference"


def test_a_lock_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "recipe.lock.yaml"
    assert read_lock(path) is None
    path.write_text(lock().to_text())
    read = read_lock(path)
    assert read == lock()
    assert read.digest == lock().digest != lock((("plan",), "p2")).digest


@pytest.mark.parametrize(
    ("text", "told"),
    [("lock: 2\n", "version 2"), ("[]", "lock version nothing"), ("lock: 1\nplan: x\n", "missing")],
)
def test_a_lock_that_cant_be_read_is_reported(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "recipe.lock.yaml"
    path.write_text(text)
    with pytest.raises(ProblemsError, match=told):
        read_lock(path)
