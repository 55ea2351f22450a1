"""How a lock and a changed value read, in 80 columns."""

from __future__ import annotations

from raygen.core.change import Change
from raygen.recipe.lock import (
    Lock,
    LockDifference,
    LockedEngine,
    LockedModel,
    LockedNode,
    LockedOptions,
    LockedSource,
)
from raygen.views import lock_view
from raygen.views.recipe_diff import change_text
from tests.unit.raygen.views.test_views import squeezed, text_of

COMMIT = "a" * 40
LOCK = Lock(
    lock=1,
    recipe="small",
    given=LockedOptions(variant="before", limit=3),
    plan="p" * 32,
    source=LockedSource(path="q.jsonl", rows=1200, content="c" * 32),
    engines={
        "moving": LockedEngine(model="org/model", commit=COMMIT, backend="vllm"),
        "fixed": LockedEngine(model="org/m", revision=COMMIT, commit=COMMIT, backend="vllm"),
        "tuned": LockedEngine(
            model="./adapter",
            content="d" * 32,
            backend="transformers",
            base=LockedModel(model="org/base", unresolved="the hub can't be reached"),
        ),
    },
    nodes={"think": LockedNode(op="generate", version=1, prompts={"prompt": "h"}, identity="i")},
    packages={"raygen": "0.1.0"},
)


def test_a_lock_says_what_it_holds_and_what_stays_open() -> None:
    text = squeezed(text_of(lock_view("x.lock.yaml", LOCK, [], new=True)))
    assert "small (--variant before --limit 3)" in text
    assert "1,200 rows" in text
    assert "1, with 1 template" in text
    whole = text.replace("\n", " ")
    assert f"org/model on vllm, commit {COMMIT}" in whole
    assert "engine moving: the hub may move on, and --locked would refuse then" in whole
    assert f"`revision: {COMMIT}` in the recipe keeps it" in whole
    assert "engine fixed:" not in whole
    assert "made for org/base, unresolved" in whole
    assert "engine tuned: the model is locked by its name alone; the hub can't be reached" in whole
    assert "since it was locked before" not in text


def test_a_lock_written_anew_says_what_changed() -> None:
    change = LockDifference("packages.torch", "2.13.0", "2.14.0", "")
    text = text_of(lock_view("x.lock.yaml", LOCK, [change], new=False))
    assert "1 change since it was locked before" in text
    assert "packages.torch: 2.13.0 → 2.14.0" in text
    assert "no change" in text_of(lock_view("x.lock.yaml", LOCK, [], new=False))


def test_a_change_reads_by_its_length() -> None:
    assert change_text(Change("n", 3, None)).plain == "3 → nothing"
    assert change_text(Change("x", 1 / 3, [1])).plain == "0.3333 → [1]"
    sentence = "Milk goes bad when it is warm, so it belongs into a fridge, which is cold."
    assert "{+cool+}" in change_text(Change("x", sentence, sentence.replace("cold", "cool"))).plain
    long = Change("x", "old" * 300, "new" * 300)
    assert "--full" in change_text(long).plain
    assert "--full" not in change_text(long, full=True).plain
    lines = Change("p", "\n".join(map(str, range(99))), "\n".join(map(str, range(50, 149))))
    assert "lines more; --full shows them" in change_text(lines).plain
    assert change_text(lines, full=True).plain.splitlines()[1:] == lines.lines()[1:]
