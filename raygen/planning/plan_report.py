"""The estimate of a prepared recipe: its keyed source sampled, what was measured before looked up.

Knows nothing of how an estimate is made or shown.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from raygen.core import Problem
from raygen.dataset import Dataset, DatasetError, Folder
from raygen.planning.estimate import Estimate, estimate_run
from raygen.planning.history import last_preview, measure_dataset
from raygen.planning.plan import Plan
from raygen.planning.preparation import PreparedRecipe
from raygen.planning.prompt_tokens import count_prompt_tokens
from raygen.planning.resources import Placement, placement_of
from raygen.planning.reuse import Reuse, find_reuse
from raygen.recipe import Recipe
from raygen.sources import KeyedSource, key_source
from raygen.trainer import training_of

_SAMPLE = 24
"""Rows whose prompts are counted."""


@dataclass(frozen=True, slots=True)
class PlanOverview:
    """What a recipe would run, what that would cost, and what of it is there already.

    `done` counts the source rows that this plan has finished; `reuse` is what an older plan's
    calls are worth to this one. `hints` are what the recipe would better leave to a profile.
    """

    plan: Plan
    estimate: Estimate
    done: int = 0
    reuse: Reuse | None = None
    placement: Placement | None = None
    hints: tuple[Problem, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The plan with its estimate, for a program."""
        reuse = self.reuse
        answer = {
            **self.plan.to_json(),
            "estimate": self.estimate.to_json(),
            "done": self.done,
            "placement": self.placement.to_json() if self.placement else None,
            "hints": [str(hint) for hint in self.hints],
        }
        if reuse is None:
            return {**answer, "reuse": None}
        counts = {"recorded": reuse.recorded, "reusable": reuse.reusable}
        return {**answer, "reuse": {**counts, "nodes": dict(reuse.nodes)}}


def make_plan_overview(prepared: PreparedRecipe, out: str | None = None) -> PlanOverview:
    """The outlook of a recipe; `out` is where its dataset is, if not where the recipe says.

    Reads the whole source. Raises SourceError, and ProblemsError where the student's file can't
    be read.
    """
    recipe, plan = prepared.recipe, prepared.plan
    folder = Folder.at(out or prepared.output)
    training = training_of(recipe, None, folder, moved=out is not None)
    placement = placement_of(recipe, plan, training.workers() if training else 0)
    with tempfile.TemporaryDirectory(prefix="raygen-plan-") as temporary:
        source = key_source(recipe.source, plan.task, recipe.source_base, Folder.at(temporary))
        expected = estimate_of(recipe, plan, source, folder)
        keys = set(source.keys)
    found = PlanOverview(plan, expected, placement=placement, hints=tuple(prepared.hints))
    try:
        done = Dataset(folder).done(plan.hash) if Dataset(folder).plans() else {}
        return replace(found, done=len(keys & set(done)), reuse=find_reuse(folder, plan))
    except DatasetError:
        return found  # apply will say what is wrong with the folder


def estimate_of(recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder) -> Estimate:
    """The estimate of a plan over a keyed source, with what its folder and the cache know."""
    step = max(1, source.total // _SAMPLE)
    sample = source.read(range(0, source.total, step)[:_SAMPLE])
    try:
        run = measure_dataset(folder)
    except DatasetError:
        run = None  # a folder that can't be read tells nothing; apply will say what is wrong
    known = [one for one in (run, last_preview(recipe.name)) if one is not None]
    actors = placement_of(recipe, plan).high
    return estimate_run(
        plan, source.total, count_prompt_tokens(plan, sample), known, recipe.output.rows, actors
    )


def planned_estimate(
    recipe: Recipe, plan: Plan, source: KeyedSource, folder: Folder
) -> Mapping[str, Any]:
    """The estimate to keep beside a dataset: the one made before the first row of this plan ran.

    A resumed run keeps it; one over more rows makes a new one. Raises DatasetError.
    """
    written = Dataset(folder).plan(plan.hash) or {}
    kept: Mapping[str, Any] = written.get("estimate") or {}
    if kept.get("rows") == source.total:
        return kept
    return estimate_of(recipe, plan, source, folder).to_json()
