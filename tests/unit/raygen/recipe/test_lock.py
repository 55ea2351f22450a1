"""What differs from a lock, and what to do about it, one thing at a time."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest

from raygen.core.problem import ProblemsError
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
    ("change", "what", "told"),
    [
        (("plan",), ("plan", "p1", "p2"), "edited"),
        (("source", "rows"), ("source rows", "4", "5"), "back to the rows that it had"),
        (("source", "content"), ("source content", "c1", "c2"), "q.jsonl"),
        (("stops", "rows"), ("output rows", "3", "9"), "recipe"),
        ((*TEACHER, "backend"), ("engine teacher, backend", "vllm", "openai"), "profile"),
        (
            (*TEACHER, "args", "dtype"),
            ("engine teacher, args dtype", "the text 'float32'", "the text 'x'"),
            "profile",
        ),
        ((*TEACHER, "model"), ("engine teacher, model", "org/model", "org/other"), "name"),
        ((*TEACHER, "revision"), ("engine teacher, model", "org/model", "org/model@v2"), "name"),
        (
            (*TEACHER, "commit"),
            ("engine teacher, model org/model", f"commit {'a' * 40}", f"commit {'b' * 40}"),
            f"revision: {'a' * 40}",
        ),
        (
            (*TEACHER, "base", "content"),
            ("engine teacher, base, model org/base", "content b1", "content b2"),
            "files",
        ),
        ((*THINK, "version"), ("node think, op", "generate version 1", "generate version 2"), "in"),
        (
            (*THINK, "prompts", "prompt"),
            ("node think, prompt prompt", "the text 'h1'", "the text 'h2'"),
            "undo",
        ),
        ((*THINK, "identity"), ("node think", "i1", "i9"), "parameters"),
        (("nodes", "keep"), ("node keep", "one", "nothing"), "put it back"),
        (("packages", "torch"), ("package torch", "2.13.0", "2.14"), "install torch==2.13.0"),
        (("packages", "raygen"), ("package raygen", "0.1.0", "nothing"), "raygen==0.1.0"),
        (("files", "ops.py"), ("file ops.py", "the text 'f1'", "the text 'f2'"), "--trust"),
    ],
)
def test_each_difference_is_told_once(
    change: tuple[str, ...], what: tuple[str, str, str], told: str
) -> None:
    value: Any = {"rows": None}.get(what[2], what[2].split(" ")[-1].strip("'"))
    value = int(value) if value.isdecimal() else value.rpartition("@")[2]
    found = lock((change, None if what[2] == "nothing" else value))
    (one,) = lock_differences(lock(), found)
    assert (one.what, one.locked, one.found) == what
    assert told in one.todo


def test_what_came_is_told_too() -> None:
    (one,) = lock_differences(lock((("nodes", "keep"), None)), lock())
    assert (one.what, one.locked, one.found) == ("node keep", "nothing", "one")
    (two,) = lock_differences(lock((("packages", "torch"), None)), lock())
    assert "without torch" in two.todo


def test_other_options_are_the_advice() -> None:
    given = lock((("given",), {"set": {"n": "3"}, "limit": 2}), (("plan",), "p2"))
    (one,) = lock_differences(given, lock())
    assert "`--set n=3 --limit 2`: give the same" in one.todo
    (two,) = lock_differences(lock(), given)
    assert "without `--set n=3 --limit 2`" in two.todo


def test_another_profile_is_the_advice_where_conditions_differ() -> None:
    backend = ((*TEACHER, "backend"), "openai")
    given = lock((("given",), {"profile": "laptop.yaml"}))
    (one,) = lock_differences(given, lock(backend))
    assert one.todo == "run it with the profile laptop.yaml"
    (two,) = lock_differences(lock(), lock(backend, (("given",), {"profile": "laptop.yaml"})))
    assert two.todo == "run it without a profile"
    assert lock_differences(given, lock()) == [], "a profile that changes nothing is no difference"


def test_a_model_that_cant_be_looked_up_says_why() -> None:
    found = lock(((*TEACHER, "commit"), None), ((*TEACHER, "unresolved"), "no network"))
    (one,) = lock_differences(lock(), found)
    assert (one.found, "no network" in one.todo) == ("unresolved", True)
    assert found.unresolved == {"teacher": "no network"}
    assert lock_differences(found, found) == []


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
def test_a_lock_that_cant_be_read_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "recipe.lock.yaml"
    path.write_text(text)
    with pytest.raises(ProblemsError, match=told):
        read_lock(path)
