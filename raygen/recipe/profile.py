"""A profile: where and how a recipe runs. It overrides an engine's running conditions by name.

A profile never changes what a dataset is, so it never changes a plan's hash. Knows nothing of
graphs or ops.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field, model_validator

from raygen.config import Document, did_you_mean, load_document, parse_model
from raygen.core import Mark, Place, Problem
from raygen.engines import Backend
from raygen.recipe.schema import Price, RecipeSection

ALL_ENGINES = "*"


class Replicas(RecipeSection):
    """How many actors, each with all local engines of the recipe."""

    min: int = Field(1, ge=1)
    max: int = Field(1, ge=1)

    @model_validator(mode="after")
    def _ordered(self) -> Replicas:
        if self.min > self.max:
            raise ValueError(f"min is {self.min} and max {self.max}; expected min <= max")
        return self


class EngineConditions(RecipeSection):
    """What a profile may say about an engine; what it leaves out stays as the recipe has it."""

    backend: Backend | None = None
    gpus: int | None = Field(None, ge=0, description="GPUs of one engine, 0 on a CPU")
    price: Price | None = None
    args: dict[str, Any] = Field(
        default_factory=dict,
        description="added to the recipe's; in their place where the backend changes",
    )


class TrainConditions(RecipeSection):
    """Where the student trains."""

    workers: int = Field(1, ge=1)


class ProfileSections(RecipeSection):
    """A whole profile."""

    profile: str = Field(min_length=1, description="its name")
    description: str = ""
    replicas: Replicas = Replicas(min=1, max=1)
    concurrency: int | None = Field(None, ge=1, description="rows in flight in each actor")
    address: str | None = Field(None, min_length=1, description="a Ray cluster's address")
    engines: dict[str, EngineConditions] = Field(
        default_factory=dict, description="by engine name; * stands for every engine"
    )
    train: TrainConditions | None = None


@dataclass(frozen=True, slots=True)
class Profile:
    """A loaded profile and its document, for positions."""

    path: Path
    document: Document
    sections: ProfileSections

    @property
    def name(self) -> str:
        """The profile's own name."""
        return self.sections.profile

    @property
    def replicas(self) -> Replicas:
        """How many actors."""
        return self.sections.replicas

    @property
    def concurrency(self) -> int | None:
        """Rows in flight in each actor, where the profile says so."""
        return self.sections.concurrency

    @property
    def address(self) -> str | None:
        """The address of the Ray cluster, where the profile names one."""
        return self.sections.address

    @property
    def workers(self) -> int | None:
        """Train workers, where the profile says so."""
        return self.sections.train.workers if self.sections.train else None


def load_profile(path: Path) -> Profile:
    """Read a profile. Raises ProblemsError."""
    document = load_document(path)
    return Profile(path, document, parse_model(document, ProfileSections))


def apply_profile(recipe: Document, profile: Profile) -> tuple[Document, list[Problem]]:
    """Put the profile's conditions on the engines of a recipe's document.

    The conditions under `*` come first and those by name after them.
    """
    data = copy.deepcopy(recipe.data)
    marks: dict[Place, Mark] = dict(recipe.marks)
    engines = data.get("engines")
    engines = engines if isinstance(engines, dict) else {}
    problems: list[Problem] = []
    for name in sorted(profile.sections.engines, key=lambda name: name != ALL_ENGINES):
        if name != ALL_ENGINES and name not in engines:
            hint = did_you_mean(name, engines)
            message = f"the recipe has no engine {name!r}{hint}"
            problems.append(profile.document.problem(("engines", name), message))
            continue
        for target in engines if name == ALL_ENGINES else (name,):
            if isinstance(engines[target], dict):
                engines[target] = _merged(engines[target], profile.document.data["engines"][name])
                for place, mark in profile.document.section(("engines", name)).marks.items():
                    if place:
                        marks["engines", target, *place] = mark
    return Document(recipe.file, data, marks), problems


def _merged(engine: Mapping[str, Any], conditions: Mapping[str, Any]) -> dict[str, Any]:
    new_args = conditions.get("args", {})
    old_args = engine.get("args", {})
    backend = conditions.get("backend")
    if backend is not None and backend != engine.get("backend", "vllm"):
        old_args = {}
    # A wrong type in the recipe stays for its own check to report.
    args = {**old_args, **new_args} if isinstance(old_args, dict) else old_args
    merged = {**engine, **{k: v for k, v in conditions.items() if v is not None}}
    return {**merged, "args": args} if "args" in merged else merged
