"""Plan hashes are a promise: a dataset goes on only where its recipe still has the hash it had.

The golden file holds the hashes that version 0.1.0 made of the recipes that it shipped, which lie
under `tests/data/recipes-0.1.0`, and of others under `tests/data`: these lines never change. It
holds the hashes of the recipes of today too. A new shipped recipe or variant gets a line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from raygen.config.document import load_document
from raygen.core.row import ColumnType
from raygen.ops import mask_topic_words
from raygen.planning.plan import make_plan
from raygen.recipe.load import load_recipe
from raygen.recipe.profile import load_profile
from raygen.recipe.recipe import Recipe

ROOT = Path(__file__).parents[4]
PLANS = ROOT / "tests" / "data" / "plans-0.1.0"
GOLDEN: Mapping[str, str] = json.loads((PLANS / "hashes.json").read_text())

# What each shipped recipe reads of its source, so that no source has to be there.
QUESTIONS: Mapping[str, ColumnType] = {
    "question": "string",
    "choices": "strings",
    "answer": "integer",
    "words": "strings",
}
TEXTS: Mapping[str, ColumnType] = {"text": "string", "label": "string"}
RATIONALES: Mapping[str, ColumnType] = {
    **QUESTIONS,
    "label": "integer",
    "rationale": "string",
    "key_tokens": "json",
    "made_by": "string",
}


CONVERSATIONS: Mapping[str, ColumnType] = {"question": "string", "messages": "json"}
WITH_TESTS: Mapping[str, ColumnType] = {**QUESTIONS, "tests": "strings"}


@dataclass(frozen=True)
class Case:
    """A recipe as a user may name it."""

    path: Path
    variant: str | None = None
    profile: str | None = None
    overrides: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        words = [self.path.relative_to(ROOT).as_posix()]
        words += [f"--variant {self.variant}"] if self.variant else []
        words += [f"--profile {self.profile}"] if self.profile else []
        words += [f"--set {key}={value}" for key, value in self.overrides.items()]
        return " ".join(words)

    @property
    def hash(self) -> str:
        profile = load_profile(PLANS / self.profile) if self.profile else None
        recipe = load_recipe(self.path, self.overrides, profile, variant=self.variant)
        return make_plan(recipe, _columns(recipe)).hash


def _columns(recipe: Recipe) -> Mapping[str, ColumnType]:
    if recipe.task.name == "classification":
        return TEXTS
    if recipe.name in ("code", "code-small"):
        return WITH_TESTS
    if recipe.name.startswith("rewrite-chat"):
        return CONVERSATIONS
    return RATIONALES if recipe.source.path.startswith("elsewhere") else QUESTIONS


def shipped() -> Iterator[Case]:
    """Every shipped recipe, of today and of version 0.1.0, with its variants.

    Of these only such as change more than the training.

    A model beside a recipe counts with its absolute path, so `out` is said where one lies there.
    """
    for path in [
        *sorted((ROOT / "recipes").rglob("*.yaml")),
        *sorted((ROOT / "tests" / "data" / "recipes-0.1.0").rglob("*.yaml")),
    ]:
        if "profiles" in path.parts or "recipe" not in load_document(path).data:
            continue
        text = path.read_text()
        overrides = {"out": "elsewhere"} if '"${out}/' in text else {}
        yield Case(path, overrides=overrides)
        for name, changes in (load_document(path).data.get("variants") or {}).items():
            if any(not key.startswith("train.") for key in changes):
                yield Case(path, name, overrides=overrides)


def synthetic() -> Iterator[Case]:
    """Recipes with params, variants, templates, a base, and conditions that a profile changes."""
    for name in ("review", "extended", "edits"):
        yield Case(PLANS / f"{name}.yaml")
        yield Case(PLANS / f"{name}.yaml", profile="profile.yaml")
    yield Case(PLANS / "review.yaml", "many")
    yield Case(PLANS / "review.yaml", "cold", overrides={"n": "1", "source.limit": "1"})
    yield Case(PLANS / "edits.yaml", overrides={"k": "9"})
    yield Case(ROOT / "tests" / "data" / "dataset-0.1.0" / "recipe.yaml")


CASES = [*shipped(), *synthetic()]


@pytest.fixture(autouse=True)
def without_spacy(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hashes are of machines without spaCy: with it `phrases: auto` is another plan."""
    monkeypatch.setattr(mask_topic_words, "installed_pipeline", lambda: None)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_recipe_has_the_plan_hash_that_it_always_had(case: Case) -> None:
    assert case.name in GOLDEN, f"new: add {json.dumps({case.name: case.hash})} to hashes.json"
    assert case.hash == GOLDEN[case.name]


def test_every_hash_on_record_is_still_of_something() -> None:
    assert GOLDEN.keys() <= {case.name for case in CASES}


def test_conditions_are_no_part_of_the_hash_and_params_are() -> None:
    by_name = {name: GOLDEN[f"tests/data/plans-0.1.0/{name}"] for name in _SYNTHETIC}
    assert by_name["edits.yaml"] == by_name["edits.yaml --profile profile.yaml"]
    assert by_name["review.yaml"] == by_name["review.yaml --profile profile.yaml"]
    assert by_name["edits.yaml"] != by_name["edits.yaml --set k=9"]
    assert len(set(by_name.values())) == len(by_name) - 2


def test_the_stored_dataset_has_the_hash_of_its_recipe() -> None:
    plan = json.loads((ROOT / "tests/data/dataset-0.1.0/out/plan.json").read_text())
    assert plan["hash"] == GOLDEN["tests/data/dataset-0.1.0/recipe.yaml"]


_SYNTHETIC = (
    "review.yaml",
    "review.yaml --profile profile.yaml",
    "review.yaml --variant many",
    "extended.yaml",
    "edits.yaml",
    "edits.yaml --profile profile.yaml",
    "edits.yaml --set k=9",
)
